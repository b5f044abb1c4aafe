//! Certificates as an operator makes them.

use std::fs;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// An authority (`ca.crt`), one that has nothing to do with it (`other-ca.crt`), and a certificate for
/// `localhost` that the first vouches for (`server.crt` and `server.key`). `names` is a file without any.
pub struct Certificates {
    folder: TempDir,
}

impl Certificates {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let certificates = Self { folder };
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
        for authority in ["ca", "other-ca"] {
            certificates.openssl(&format!(
                "req -x509 -days 2 -subj /CN={authority} {key} -keyout {authority}.key \
                 -out {authority}.crt"
            ));
        }
        certificates.openssl(&format!(
            "req -subj /CN=localhost {key} -keyout server.key -out server.csr"
        ));
        let names = "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n";
        fs::write(certificates.path("names"), names).unwrap();
        certificates.openssl(
            "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 \
             -extfile names -out server.crt",
        );
        certificates
    }

    fn openssl(&self, line: &str) {
        let status = Command::new("openssl")
            .args(line.split_whitespace())
            .current_dir(self.folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("openssl is there");
        assert!(status.success(), "openssl {line}");
    }

    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }
}
