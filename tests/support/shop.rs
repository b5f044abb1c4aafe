//! A process hook that sells gold, and remembers what it was called for.

#![allow(dead_code)]

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use session_locker::easy::Profile;
use session_locker::locker::{HookAnswer, LockerRef, SharedSaveData};
use session_locker::purchaser::{ProductProcess, ReceiptInfo, Validation};

/// Sells as much gold as the product's number says. What goes otherwise is commanded.
#[derive(Default)]
pub struct Shop {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    calls: Vec<String>,
    validations: VecDeque<Command>,
    applications: VecDeque<Command>,
    records: VecDeque<Command>,
    recipient: Option<LockerRef>,
    inside_apply: Option<Arc<dyn Fn() + Send + Sync>>,
}

/// What one call of the hook does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    Do,
    Refuse,
    Fail,
    Panic,
}

impl Shop {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// A shop whose products are gifts to this player.
    pub fn gifts_to(profile: &Profile) -> Arc<Self> {
        let shop = Self::new();
        shop.set_recipient(Some(profile.to_ref().expect("a locker")));
        shop
    }

    pub fn set_recipient(&self, recipient: Option<LockerRef>) {
        self.state.lock().recipient = recipient;
    }

    pub fn on_validate(&self, commands: &[Command]) {
        self.state.lock().validations.extend(commands);
    }

    pub fn on_apply(&self, commands: &[Command]) {
        self.state.lock().applications.extend(commands);
    }

    pub fn on_record(&self, commands: &[Command]) {
        self.state.lock().records.extend(commands);
    }

    /// Runs inside each application, after it has written.
    pub fn inside_apply(&self, meddle: impl Fn() + Send + Sync + 'static) {
        self.state.lock().inside_apply = Some(Arc::new(meddle));
    }

    /// What was called since the last look, each with the purchase.
    pub fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().calls)
    }

    /// How often a product was applied since the last look, successfully or not.
    pub fn applied(&self) -> usize {
        let calls = self.calls();
        calls
            .iter()
            .filter(|call| call.starts_with("apply"))
            .count()
    }

    fn note(&self, what: &str, receipt: &ReceiptInfo) {
        let call = format!("{what} {}", receipt.purchase_id);
        self.state.lock().calls.push(call);
    }
}

impl Command {
    fn run(self) -> Result<bool, String> {
        match self {
            Self::Do => Ok(true),
            Self::Refuse => Ok(false),
            Self::Fail => Err("commanded to fail".to_owned()),
            Self::Panic => panic!("commanded to panic"),
        }
    }
}

impl ProductProcess for Shop {
    fn validate(&self, receipt: &ReceiptInfo) -> Result<Validation, String> {
        self.note("validate", receipt);
        let mut state = self.state.lock();
        let command = state.validations.pop_front().unwrap_or(Command::Do);
        let recipient = state.recipient.clone();
        drop(state);
        Ok(match command.run()? {
            false => Validation::NotApplicable,
            true => recipient.map_or(Validation::Own, Validation::Gift),
        })
    }

    fn apply(
        &self,
        receipt: &ReceiptInfo,
        save_data: &Arc<SharedSaveData>,
    ) -> Result<HookAnswer, String> {
        self.note("apply", receipt);
        save_data
            .write(|data| data.add_i64("/Gold", receipt.product_id))
            .map_err(|error| error.to_string())?;
        let mut state = self.state.lock();
        let command = state.applications.pop_front().unwrap_or(Command::Do);
        let inside = state.inside_apply.clone();
        drop(state);
        if let Some(inside) = inside {
            inside();
        }
        Ok(match command.run()? {
            true => HookAnswer::Applied,
            false => HookAnswer::NotApplicable,
        })
    }

    fn record(&self, receipt: &ReceiptInfo, save_data: &Arc<SharedSaveData>) -> Result<(), String> {
        self.note("record", receipt);
        save_data
            .write(|data| match data.contains("/Spent")? {
                true => data.add_i64("/Spent", receipt.currency_spent).map(drop),
                false => data.set_i64("/Spent", receipt.currency_spent),
            })
            .map_err(|error| error.to_string())?;
        let command = self.state.lock().records.pop_front();
        command.unwrap_or(Command::Do).run().map(drop)
    }
}

/// A receipt of so much gold.
pub fn receipt(purchase_id: &str, gold: i64) -> ReceiptInfo {
    ReceiptInfo {
        purchase_id: purchase_id.into(),
        product_id: gold,
        user_id: "1".into(),
        place_id: 0,
        currency_spent: 100,
    }
}

/// The answers to purchases, in the order in which they came.
#[derive(Clone, Default)]
pub struct Answers(Arc<Mutex<Vec<(String, bool)>>>);

impl Answers {
    /// Asks for a purchase, and notes its answer.
    pub fn ask(&self, profile: &Profile, shop: &Arc<Shop>, purchase_id: &str, gold: i64) {
        let callback = self.callback(purchase_id);
        let process = Arc::clone(shop) as Arc<dyn ProductProcess>;
        profile
            .call_when_product_is_processed_and_saved(
                process,
                receipt(purchase_id, gold),
                Some(callback),
            )
            .expect("a purchase");
    }

    pub fn callback(&self, purchase_id: &str) -> Box<dyn FnOnce(bool) + Send> {
        let (into, id) = (Arc::clone(&self.0), purchase_id.to_owned());
        Box::new(move |is_granted| into.lock().push((id, is_granted)))
    }

    /// The answers since the last look, as `id+` or `id-`.
    pub fn heard(&self) -> Vec<String> {
        let heard = std::mem::take(&mut *self.0.lock());
        let sign = |is_granted| if is_granted { "+" } else { "-" };
        heard
            .into_iter()
            .map(|(id, is_granted)| id + sign(is_granted))
            .collect()
    }
}
