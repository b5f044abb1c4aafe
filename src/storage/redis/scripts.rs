//! The two scripts by which records are changed. A server keeps them under their hashes until it is
//! started anew, or told to forget them.

use redis::pipe;

use super::failure::Failure;
use super::link::Connection;

const COMMIT: &str = concat!(include_str!("common.lua"), include_str!("commit.lua"));
const ERASE: &str = concat!(include_str!("common.lua"), include_str!("erase.lua"));

/// The hashes of scripts that a server was given.
#[derive(Clone, Debug)]
pub(super) struct Scripts {
    /// Writes a record if it is as expected.
    pub(super) commit: String,
    /// Leaves a tombstone if the record is as expected.
    pub(super) erase: String,
}

impl Scripts {
    /// Gives the scripts to a server, which may have them already.
    pub(super) async fn load(connection: &Connection) -> Result<Self, Failure> {
        let mut load = pipe();
        for script in [COMMIT, ERASE] {
            load.cmd("SCRIPT").arg("LOAD").arg(script);
        }
        let mut answers = connection.ask(&load).await?;
        let commit = answers.text("SCRIPT LOAD")?;
        let erase = answers.text("SCRIPT LOAD")?;
        Ok(Self { commit, erase })
    }
}
