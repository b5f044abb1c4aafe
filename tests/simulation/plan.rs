//! What a seed is like: which things happen in it, how often, to how many servers and players. Seeds
//! differ in character, so that what rare things do to each other is seen as well as what common ones do.
//!
//! No world lasts for days: what the library forgets after a week is not played here, nor is a full inbox.

use crate::chance::Chance;
use crate::ids::Key;
use crate::server::{Kind, Settings};

/// By how much the time that a host gives to an update may run backwards.
pub const JITTER_MAX_S: f64 = 1.0;

/// The shortest request timeout of any seed.
pub const TIMEOUT_LEAST_S: f64 = 3.0;

/// The longest request timeout of any seed.
pub const TIMEOUT_MOST_S: f64 = 8.0;

/// How the storage behaves. Times are seconds, as means.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// The share of requests that are answered inside the call that asks.
    pub at_once: f64,
    /// How long a request takes to arrive, and its answer to come back.
    pub latency: f64,
    /// The share of requests with which something goes wrong.
    pub faults: f64,
    /// How long what is late takes.
    pub lateness: f64,
}

impl Weather {
    pub const FAIR: Self = Self {
        at_once: 0.2,
        latency: 0.05,
        faults: 0.0,
        lateness: 0.0,
    };

    pub fn draw(chance: &mut Chance) -> Self {
        Self {
            at_once: chance.one(&[0.0, 0.0, 0.3, 0.9]),
            latency: chance.one(&[0.01, 0.1, 0.1, 0.8, 3.0]),
            faults: chance.one(&[0.0, 0.03, 0.1, 0.3, 0.6]),
            lateness: chance.one(&[2.0, 10.0, 60.0]),
        }
    }
}

/// What the hooks of a seed do beside what they are to do, in shares of their calls.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    pub hooks_fail: f64,
    /// Of those that fail, so many panic.
    pub failing_panics: f64,
    /// They call their server back.
    pub hooks_meddle: f64,
    /// A purchase cannot be judged now.
    pub puts_off: f64,
    /// No hook before a save ever does what it should, even when all else is well.
    pub saves_fail_for_ever: bool,
}

/// What can happen in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Time passes, and a server is updated.
    Tick,
    /// A server is updated, and no time has passed.
    Update,
    /// Time passes in which no server is updated.
    Leap,
    Start,
    End,
    WantAgain,
    Destroy,
    /// The player's save data is changed, perhaps to be saved at once, perhaps waited for.
    Change,
    Mark,
    Wait,
    /// A wait is given up.
    GiveUp,
    Inspect,
    SaveHook,
    Send,
    SendAgain,
    Buy,
    GiveCredit,
    UseCredit,
    /// A server dies, and another takes its place.
    Crash,
    /// A server is drained in time, or not, and another takes its place.
    Restart,
    Erase,
    /// A tool writes a document that nobody understands, or mends one.
    Meddle,
    /// A wall clock is set.
    SetClock,
    /// The storage behaves otherwise from now on.
    Weather,
}

/// Each action, and how often it happens among the others in a plain seed.
const ACTIONS: [(Action, f64); 24] = [
    (Action::Tick, 450.0),
    (Action::Update, 100.0),
    (Action::Leap, 3.0),
    (Action::Start, 50.0),
    (Action::End, 22.0),
    (Action::WantAgain, 10.0),
    (Action::Destroy, 8.0),
    (Action::Change, 110.0),
    (Action::Mark, 10.0),
    (Action::Wait, 10.0),
    (Action::GiveUp, 5.0),
    (Action::Inspect, 6.0),
    (Action::SaveHook, 8.0),
    (Action::Send, 25.0),
    (Action::SendAgain, 6.0),
    (Action::Buy, 25.0),
    (Action::GiveCredit, 2.0),
    (Action::UseCredit, 10.0),
    (Action::Crash, 2.5),
    (Action::Restart, 1.5),
    (Action::Erase, 1.5),
    (Action::Meddle, 1.5),
    (Action::SetClock, 2.0),
    (Action::Weather, 1.5),
];

/// How much more often than in a plain seed an action happens in this one.
const FACTORS: [f64; 6] = [0.0, 0.3, 1.0, 1.0, 1.0, 3.0];

/// See the module's page.
#[derive(Clone, Debug)]
pub struct Plan {
    pub servers: usize,
    /// The APIs that its servers may use.
    pub kinds: &'static [Kind],
    pub keys: usize,
    /// The storage tells its own time; then the servers' clocks may be wrong by whatever they like.
    pub has_clock: bool,
    /// By how much a wall clock may be off.
    pub skew: f64,
    /// By more than is allowed: keys are taken too early. All laws hold but that of one owner.
    pub is_premature: bool,
    pub settings: Settings,
    /// Now and then a server has an expiry so many times as long.
    pub expiry_factor: f64,
    /// Nothing happens for which a server that lives could lose a session.
    pub is_calm: bool,
    pub weather: Weather,
    pub habits: Habits,
    /// How long a step of time takes.
    pub tick: f64,
    /// The share of updates whose time runs backwards, or stands still.
    pub jitter: f64,
    /// The share of updates before which a server is stopped, when its host has looked at its clock. Every
    /// other time the others go on meanwhile.
    pub stalls: f64,
    /// The share of updates after which a host waits inside the library; of those before which a server was
    /// stopped it is every other one.
    pub waits: f64,
    /// How long a sleep of a drain or a wait takes.
    pub nap: f64,
    /// Servers of version 2 take the place of those of version 1.
    pub rolls_upgrade: bool,
    pub purchases_most: usize,
    pub sends_most: usize,
    /// Actions, each with the sum of the weights up to and with it.
    actions: Vec<(Action, f64)>,
}

impl Plan {
    /// What is seldom has a stream of chance of its own.
    pub fn draw(chance: &mut Chance, seldom: &mut Chance) -> Self {
        let has_clock = chance.comes(0.5);
        let mut settings = draw_settings(chance);
        let is_calm = chance.comes(0.15);
        let mut weather = Weather::draw(chance);
        let mut actions = draw_actions(chance);
        if is_calm {
            settings.requests_per_update = 128;
            settings.requests_in_flight = 4096;
            settings.bytes_per_update = 256 * 1024;
            weather = Weather::FAIR;
            actions = plain_actions_of_calm();
        }
        let is_premature = seldom.comes(0.2) && !has_clock && !is_calm;
        let skew = match has_clock {
            _ if is_premature => 2.0 * settings.session_expiry,
            true => chance.one(&[0.0, 30.0, 3600.0, 250_000.0]),
            false => settings.clock_tolerance / 2.0 * chance.one(&[0.0, 0.5, 1.0]),
        };
        Self {
            servers: 2 + chance.below(3),
            keys: 1 + chance.below(Key::MAX),
            has_clock,
            skew,
            is_premature,
            settings,
            expiry_factor: chance.one(&[1.0, 1.0, 1.5]),
            is_calm,
            weather,
            habits: Habits {
                hooks_fail: chance.one(&[0.0, 0.05, 0.2, 0.5, 0.95]),
                failing_panics: 0.3,
                hooks_meddle: chance.one(&[0.0, 0.0, 0.05, 0.2]),
                puts_off: chance.one(&[0.0, 0.1]),
                saves_fail_for_ever: chance.comes(0.1),
            },
            tick: match is_calm {
                true => 0.1,
                false => chance.one(&[0.1, 0.3, 0.3, 1.0]),
            },
            jitter: chance.one(&[0.0, 0.0, 0.1]),
            stalls: match is_calm {
                true => 0.0,
                false => seldom.one(&[0.0, 0.0, 0.003]),
            },
            waits: match is_calm {
                true => 0.0,
                false => seldom.one(&[0.0, 0.0, 0.001]),
            },
            nap: chance.one(&[0.05, 0.3, 1.0]),
            rolls_upgrade: chance.comes(0.4),
            purchases_most: 3 + chance.below(20),
            sends_most: 5 + chance.below(50),
            kinds: chance.one(&[Kind::RUST, Kind::ALL]),
            actions,
        }
    }

    pub fn action(&self, chance: &mut Chance) -> Action {
        let sum = self.actions.last().map_or(0.0, |(_, sum)| *sum);
        let drawn = chance.between(0.0, sum);
        let place = self.actions.partition_point(|(_, sum)| *sum <= drawn);
        self.actions
            .get(place)
            .map_or(Action::Tick, |(action, _)| *action)
    }
}

fn draw_actions(chance: &mut Chance) -> Vec<(Action, f64)> {
    let mut sum = 0.0;
    let mut weigh = |(action, weight)| {
        sum += match action {
            Action::Tick => weight,
            _ => weight * chance.one(&FACTORS),
        };
        (action, sum)
    };
    ACTIONS.map(&mut weigh).to_vec()
}

fn plain_actions_of_calm() -> Vec<(Action, f64)> {
    let mut sum = 0.0;
    let weigh = |(action, weight)| {
        sum += match action {
            Action::Leap | Action::Weather => 0.0,
            _ => weight,
        };
        (action, sum)
    };
    ACTIONS.map(weigh).to_vec()
}

fn draw_settings(chance: &mut Chance) -> Settings {
    let plain = Settings {
        maintain_session_period: 20.0,
        session_expiry: 120.0,
        clock_tolerance: 30.0,
        session_retry_cooldown: 3.0,
        session_retry_ceiling: 12.0,
        request_timeout: 5.0,
        purchase_history_limit: chance.one(&[1, 3, 100]),
        requests_per_update: chance.one(&[1, 3, 128, 128]),
        requests_in_flight: chance.one(&[2, 4096, 4096]),
        bytes_per_update: chance.one(&[1, 1000, 256 * 1024, 256 * 1024]),
    };
    match chance.below(3) {
        0 => plain,
        1 => Settings {
            maintain_session_period: 10.0,
            session_expiry: 40.0,
            clock_tolerance: 10.0,
            session_retry_cooldown: 1.0,
            session_retry_ceiling: 5.0,
            request_timeout: TIMEOUT_LEAST_S,
            ..plain
        },
        // Hardly within what is allowed.
        _ => Settings {
            maintain_session_period: 30.0,
            session_expiry: 60.0,
            clock_tolerance: 20.0,
            session_retry_cooldown: 2.0,
            session_retry_ceiling: 20.0,
            request_timeout: TIMEOUT_MOST_S,
            ..plain
        },
    }
}
