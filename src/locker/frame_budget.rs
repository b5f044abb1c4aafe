//! What one update of a set of lockers may do, and what of it is under way. What is left over waits for the
//! next one, so that a frame ends, whatever there is to do.

use super::config::Config;

/// What the present update may still do, and what is under way.
#[derive(Debug)]
pub(super) struct FrameBudget {
    /// When the present frame's budget was given; calls at the same time share it.
    at: f64,
    /// Requests that may still begin.
    requests: u32,
    /// Bytes that may still be read and written.
    bytes: usize,
    /// Replies still to be taken.
    replies: u32,
    /// Touched lockers still to be looked at.
    steps: u32,
    /// Timers still to be looked at.
    timers: u32,
    /// Lockers whose time has come that may still go on.
    due: u32,
    /// Requests under way.
    in_flight: u32,
    /// Grants since the last one that a waiting load was given out of turn.
    saves_in_a_row: u32,
    /// The slot whose document has taken bytes last.
    bytes_taken_by: Option<u32>,
}

/// Of so many grants, the loads get at least one while saves wait too.
const A_TENTH: u32 = 9;

/// One update takes so many more replies than it starts requests, so that a backlog shrinks.
const SPARE_REPLIES: u32 = 32;

/// The most touched lockers, and as many timers, that one update looks at: a host that gives ten thousand lockers a
/// command at once gets them over several frames.
const STEPS_PER_UPDATE: u32 = 256;

/// The most lockers whose time has come that one update lets go on. A save has one such time, and a request
/// without an answer another.
const DUE_PER_UPDATE: u32 = 64;

impl FrameBudget {
    /// Nothing may be done before the first update.
    pub fn new() -> Self {
        Self {
            at: f64::NEG_INFINITY,
            requests: 0,
            bytes: 0,
            replies: 0,
            steps: 0,
            timers: 0,
            due: 0,
            in_flight: 0,
            saves_in_a_row: 0,
            bytes_taken_by: None,
        }
    }

    /// An update begins. Updates of single lockers at one time are one frame, and share what may be asked
    /// of the storage in it.
    pub fn begin_update(&mut self, now: f64, is_of_all: bool, config: &Config) {
        self.steps = STEPS_PER_UPDATE;
        self.timers = STEPS_PER_UPDATE;
        self.due = DUE_PER_UPDATE;
        if now > self.at || is_of_all {
            self.at = now;
            self.requests = config.requests_per_update;
            self.bytes = config.bytes_per_update;
            self.replies = config.requests_per_update.saturating_add(SPARE_REPLIES);
        }
    }

    /// How many requests may begin, were there bytes for all of them.
    pub fn room(&self, config: &Config) -> u32 {
        let under_way = config.requests_in_flight.saturating_sub(self.in_flight);
        self.requests.min(under_way)
    }

    /// Takes one request, if there is one left.
    pub fn spend_request(&mut self, config: &Config) -> Option<()> {
        if self.room(config) == 0 || self.bytes == 0 {
            return None;
        }
        self.requests -= 1;
        Some(())
    }

    /// Takes one request for somebody who works on lockers. Half of the budget is left to the lockers
    /// themselves, which have leases to keep.
    pub fn spend_spare_request(&mut self, config: &Config) -> Option<()> {
        match self.requests > config.requests_per_update / 2 {
            true => self.spend_request(config),
            false => None,
        }
    }

    /// A hook gets something to do that may cost as much as so many requests.
    pub fn spend_on_hook(&mut self, requests: u32) {
        self.requests = self.requests.saturating_sub(requests);
    }

    /// A request begins for a locker that has none under way.
    pub fn request_begun(&mut self) {
        self.in_flight += 1;
    }

    /// A request is under way no more.
    pub fn request_ended(&mut self) {
        self.in_flight -= 1;
    }

    /// Whether another touched locker may be looked at.
    pub fn has_step(&self) -> bool {
        self.steps > 0
    }

    /// One was looked at.
    pub fn take_step(&mut self) {
        self.steps = self.steps.saturating_sub(1);
    }

    /// Whether another timer may be looked at.
    pub fn has_timer(&self) -> bool {
        self.timers > 0
    }

    /// One was looked at.
    pub fn take_timer(&mut self) {
        self.timers -= 1;
    }

    /// Whether another locker may go on whose time has come.
    pub fn has_due(&self) -> bool {
        self.due > 0
    }

    /// One goes on.
    pub fn take_due(&mut self) {
        self.due -= 1;
    }

    /// Whether a reply may be taken that brings so many bytes.
    pub fn has_reply(&self, bytes: usize) -> bool {
        self.replies > 0 && (self.bytes > 0 || bytes == 0)
    }

    /// One is taken, for this slot.
    pub fn take_reply(&mut self, bytes: usize, slot: u32) {
        self.replies -= 1;
        self.take_bytes(bytes, slot);
    }

    /// A document of this slot was read or is written.
    pub fn take_bytes(&mut self, count: usize, slot: u32) {
        self.bytes = self.bytes.saturating_sub(count);
        if count > 0 {
            self.bytes_taken_by = Some(slot);
        }
    }

    /// Whether others have taken all the bytes. A locker that has taken the last itself says nothing of how
    /// many others would have had room.
    pub fn lacks_bytes_for(&self, slot: u32) -> bool {
        self.bytes == 0 && self.bytes_taken_by != Some(slot)
    }

    /// Whether it is the turn of a load, if one waits, though saves wait too.
    pub fn is_turn_of_a_load(&self) -> bool {
        self.saves_in_a_row >= A_TENTH
    }

    /// A save got a request.
    pub fn granted_to_a_save(&mut self) {
        self.saves_in_a_row += 1;
    }

    /// A load got a request, or nobody.
    pub fn granted_to_a_load(&mut self) {
        self.saves_in_a_row = 0;
    }

    /// What is left for others of the same store.
    pub fn rest(&self, now: f64, wall: f64) -> Rest {
        Rest {
            now,
            wall,
            requests: self.requests,
            bytes: self.bytes,
            in_flight: self.in_flight,
        }
    }
}

/// What an update of lockers leaves for others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rest {
    /// The set's time.
    pub now: f64,
    /// Unix seconds.
    pub wall: f64,
    /// Requests that may still begin.
    pub requests: u32,
    /// Bytes that may still be read and written.
    pub bytes: usize,
    /// Requests under way.
    pub in_flight: u32,
}
