//! The scripts by which records are changed. A server keeps them under their hashes until it is
//! started anew, or told to forget them.

use redis::{Pipeline, pipe};

use super::commands::Answers;
use super::connection::Connection;
use super::failure::Failure;

const COMMIT: &str = concat!(include_str!("common.lua"), include_str!("commit.lua"));
const REPLACE: &str = include_str!("replace.lua");
const ERASE: &str = concat!(include_str!("common.lua"), include_str!("erase.lua"));

/// How a commit is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// By a script that does what nearly every commit needs and no more, where that may do. If it does not
    /// do, the server says so and has written nothing.
    Short,
    /// By the script that does everything, which the server is given once more before.
    Whole,
}

/// The hashes of scripts that a server was given.
#[derive(Clone, Debug)]
pub(super) struct Scripts {
    /// Writes a record if it is as expected.
    pub(super) commit: String,
    /// Writes a record that is as expected and keeps its user ids; see [`Form::Short`].
    pub(super) replace: String,
    /// Leaves a tombstone if the record is as expected.
    pub(super) erase: String,
}

impl Scripts {
    /// Gives the scripts to a server, which may have them already.
    pub(super) async fn load(connection: &Connection) -> Result<Self, Failure> {
        let mut load = pipe();
        Self::push_loads(&mut load);
        Self::read(&mut connection.ask(&load).await?)
    }

    /// The commands that give the scripts to a server.
    pub(super) fn push_loads(commands: &mut Pipeline) {
        for script in [COMMIT, REPLACE, ERASE] {
            commands.cmd("SCRIPT").arg("LOAD").arg(script);
        }
    }

    /// What the server has answered to those.
    pub(super) fn read(answers: &mut Answers) -> Result<Self, Failure> {
        let mut hash = || answers.text("SCRIPT LOAD");
        let (commit, replace, erase) = (hash(), hash(), hash());
        Ok(Self {
            commit: commit?,
            replace: replace?,
            erase: erase?,
        })
    }
}
