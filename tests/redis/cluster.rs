//! A cluster of a test's own, whose nodes can be killed and started again, and whose slots can be moved.

use std::process::Command;
use std::time::Duration;

use super::run_words;
use super::server::{Server, script};
use crate::conformance::ports::free_port;
use crate::conformance::{until, until_or};

pub struct Cluster {
    pub nodes: Vec<Server>,
    bus_ports: Vec<u16>,
}

/// A slot on its way from one node to another.
pub struct Migration<'a> {
    cluster: &'a Cluster,
    slot: i64,
    from: usize,
    to: usize,
}

impl Cluster {
    /// So many nodes, with equal shares of the slots. If one is away the others go on.
    pub fn start(count: usize, options: &[&str]) -> Self {
        let mut cluster = Self {
            nodes: Vec::new(),
            bus_ports: Vec::new(),
        };
        (0..count).for_each(|_| cluster.start_node(options));
        let nodes = cluster.nodes.iter().zip(&cluster.bus_ports);
        let nodes = nodes.map(|(node, bus_port)| format!("{}:{bus_port}", node.port()));
        let joined = Command::new(script()).arg("join").args(nodes).status();
        assert!(joined.unwrap().success());
        cluster
    }

    fn start_node(&mut self, options: &[&str]) {
        let bus_port = free_port();
        let port = bus_port.to_string();
        let of_node = ["--cluster-enabled", "yes", "--cluster-port", &port];
        let of_cluster = ["--cluster-require-full-coverage", "no"];
        let at_once = ["--repl-diskless-sync-delay", "0"];
        let options = [&of_node[..], &of_cluster, &at_once, options].concat();
        self.nodes.push(Server::start(&options));
        self.bus_ports.push(bus_port);
    }

    /// One more node, which has no slots yet and is known to all others; its number.
    pub fn add_node(&mut self) -> usize {
        self.start_node(&[]);
        let number = self.nodes.len() - 1;
        let (host, port) = ("127.0.0.1", self.nodes[number].port());
        let bus_port = self.bus_ports[number];
        self.nodes[0].run::<()>(&format!("CLUSTER MEET {host} {port} {bus_port}"));
        let id = self.id(number);
        for node in &self.nodes {
            let is_known = || node.run::<String>("CLUSTER NODES").contains(&id);
            until(|| is_known().then_some(()));
        }
        let is_up = || {
            self.nodes[number]
                .run::<String>("CLUSTER INFO")
                .contains("cluster_state:ok")
        };
        until(|| is_up().then_some(()));
        number
    }

    /// One more node, which has what another has; its number.
    pub fn add_replica(&mut self, of: usize) -> usize {
        let number = self.add_node();
        let (id, of) = (self.id(number), self.id(of));
        until(|| {
            self.nodes[number]
                .try_run::<()>(&format!("CLUSTER REPLICATE {of}"))
                .ok()
        });
        let all_know = format!("{id} ");
        let is_replica = |line: &str| line.starts_with(&all_know) && line.contains(&of);
        for node in &self.nodes {
            let nodes = || node.run::<String>("CLUSTER NODES");
            until(|| nodes().lines().any(is_replica).then_some(()));
        }
        self.wait_for(number, "master_link_status:up");
        number
    }

    /// Lets a replica take over by plan, and waits until its node has become a replica that has all.
    pub fn fail_over(&self, replica: usize, node: usize) {
        // It is called off after five seconds, if the machine is slow.
        until(|| {
            let is_master = || self.replication(replica).contains("role:master");
            if is_master() {
                return Some(());
            }
            self.nodes[replica].try_run::<()>("CLUSTER FAILOVER").ok()?;
            until_or(Duration::from_secs(6), || is_master().then_some(()))
        });
        self.wait_for(node, "role:slave");
        self.wait_for(node, "master_link_status:up");
    }

    /// Lets a node say that it is at this port, and waits until all others know.
    pub fn announce(&self, node: usize, port: u16) {
        self.nodes[node].run::<()>(&format!("CONFIG SET cluster-announce-port {port}"));
        let (id, address) = (self.id(node), format!("127.0.0.1:{port}@"));
        for other in &self.nodes {
            let nodes = || other.run::<String>("CLUSTER NODES");
            let is_it = |line: &str| line.starts_with(&id) && line.contains(&address);
            until(|| nodes().lines().any(is_it).then_some(()));
        }
    }

    /// Whether a replica has all that its node has.
    pub fn has_all(&self, replica: usize, node: usize) -> bool {
        let offset = |node: usize, name: &str| {
            let info = self.replication(node);
            let found = info.lines().find_map(|line| line.strip_prefix(name));
            found.map(str::to_owned)
        };
        let all = offset(node, "master_repl_offset:");
        all.is_some() && all == offset(replica, "slave_repl_offset:")
    }

    /// Waits until a replica is connected to its node.
    pub fn wait_for_replica(&self, node: usize, replica: usize) {
        self.wait_for(replica, "master_link_status:up");
        self.wait_for(node, "connected_slaves:1");
    }

    fn wait_for(&self, node: usize, says: &str) {
        until(|| self.replication(node).contains(says).then_some(()));
    }

    /// What a node says of itself and its replicas, or the node that it is a replica of.
    pub fn replication(&self, node: usize) -> String {
        self.nodes[node].run("INFO replication")
    }

    /// Of a node. The storage finds the others.
    pub fn url(&self, number: usize) -> String {
        self.nodes[number].url()
    }

    fn id(&self, number: usize) -> String {
        self.nodes[number].run("CLUSTER MYID")
    }

    /// The slot of a Redis key.
    pub fn slot(&self, key: &str) -> i64 {
        run_words(&self.url(0), &["CLUSTER", "KEYSLOT", key]).unwrap()
    }

    /// Which node has a slot, as the first says.
    pub fn owner(&self, slot: i64) -> usize {
        type Node = (String, u16, String, redis::Value);
        let ranges: Vec<(i64, i64, Node)> = self.nodes[0].run("CLUSTER SLOTS");
        let range = ranges
            .iter()
            .find(|(first, last, _)| (*first..=*last).contains(&slot));
        let (_, _, (_, port, ..)) = range.expect("every slot is somebody's");
        let is_it = |node: &Server| node.port() == *port;
        self.nodes.iter().position(is_it).unwrap()
    }

    /// How often nodes have answered with an error of this kind.
    pub fn errors(&self, code: &str) -> u64 {
        let of_node = |node: &Server| -> Option<u64> {
            let info: String = node.run("INFO errorstats");
            let line = format!("errorstat_{code}:count=");
            let line = info.lines().find_map(|l| l.strip_prefix(&line))?;
            Some(line.parse().unwrap())
        };
        self.nodes.iter().filter_map(of_node).sum()
    }

    /// Makes a slot another node's, and takes no keys along.
    pub fn give_without_keys(&self, slot: i64, to: usize) {
        let (from, node) = (self.owner(slot), self.id(to));
        for number in [to, from] {
            let set = format!("CLUSTER SETSLOT {slot} NODE {node}");
            self.nodes[number].run::<()>(&set);
        }
    }

    /// Begins to give a slot to another node.
    pub fn migrate(&self, slot: i64, to: usize) -> Migration<'_> {
        let from = self.owner(slot);
        let (source, target) = (self.id(from), self.id(to));
        self.nodes[to].run::<()>(&format!("CLUSTER SETSLOT {slot} IMPORTING {source}"));
        self.nodes[from].run::<()>(&format!("CLUSTER SETSLOT {slot} MIGRATING {target}"));
        Migration {
            cluster: self,
            slot,
            from,
            to,
        }
    }
}

impl Migration<'_> {
    /// Takes one Redis key over, if it is there.
    pub fn take(&self, key: &str) {
        let port = self.cluster.nodes[self.to].port().to_string();
        let words = ["MIGRATE", "127.0.0.1", &port, key, "0", "10000"];
        run_words::<()>(&self.cluster.url(self.from), &words).unwrap();
    }

    /// Takes all keys over that are left, and makes the slot the other node's.
    pub fn finish(self) {
        let Self {
            cluster,
            slot,
            from,
            to,
        } = self;
        loop {
            let left = format!("CLUSTER GETKEYSINSLOT {slot} 100");
            let left: Vec<String> = cluster.nodes[from].run(&left);
            if left.is_empty() {
                break;
            }
            left.iter().for_each(|key| self.take(key));
        }
        cluster.give_without_keys(slot, to);
    }
}
