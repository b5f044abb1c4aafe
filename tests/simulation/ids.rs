//! What things are called in a simulation. Every name counts from 0 within its seed, but the marks that
//! stand in documents, which count from 1.

use std::fmt;

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident($repr:ty) = $letter:literal;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
            pub struct $name(pub $repr);

            impl $name {
                pub fn index(self) -> usize {
                    self.0 as usize
                }
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    write!(f, concat!($letter, "{}"), self.0)
                }
            }
        )*
    };
}

names! {
    /// A server, from its start to its end; one that starts again is another.
    ServerId(u32) = "server ";
    /// A session that a host has begun.
    SessionId(u32) = "session ";
    /// A wait for changes.
    WaitId(u32) = "wait ";
    /// A call that sends remote changes.
    SendId(u32) = "send ";
    /// A purchase, which has one receipt.
    PurchaseId(u32) = "purchase ";
    /// One asking for a purchase: a receipt may come more than once.
    AskId(u32) = "ask ";
    /// A change of the player's: a number in `Log`.
    Token(u32) = "token ";
    /// A remote change: a number in `Effects`, once it is applied.
    RemoteId(u32) = "remote change ";
}

/// The key of a player.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub u8);

/// The keys' names.
const NAMES: [&str; 4] = ["Ann", "Ben", "Cleo", "Dan"];

impl Key {
    pub const MAX: usize = NAMES.len();

    pub fn name(self) -> &'static str {
        NAMES[usize::from(self.0)]
    }

    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The key with this name.
    pub fn of(name: &str) -> Self {
        let index = NAMES.iter().position(|known| *known == name);
        Self(index.expect("a key of the simulation's") as u8)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl PurchaseId {
    /// The receipt's id.
    pub fn receipt(self) -> String {
        format!("p{}", self.0)
    }
}
