//! Unknown programs that listen on a tool's ports (see `ports.rs`): whose a socket is, only each process's list of files
//! tells. All are walked through only while such a port is open that nobody was found for yet, and only so many in a while.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;
use std::time::{Duration, Instant};

use farmwatch_shared::catalogue::{Catalogue, Os, Port};

use super::super::budget::Budget;
use super::super::ports::{self, Alike, Standing};
use super::super::stock;
use super::processes::{Reader, Table};
use super::sockets;

/// The machine's ports are looked at this often: a question to the kernel, some 100 µs at forty servers.
const EVERY: Duration = Duration::from_secs(30);
/// Processes whose files are looked through at once, and in each second later: some 60 µs each, nearly all of it the
/// kernel's (ten open files each, Linux 6.1).
const AT_ONCE: u32 = 4096;
const PER_SECOND: u32 = 2;

/// Whose sockets on tools' ports are.
pub(super) struct Listeners {
    due: Instant,
    budget: Budget,
    /// Sockets that are open, by inode; `None` where all processes were walked through and none had it.
    owners: BTreeMap<u64, Option<Owner>>,
    /// The process with which a walk goes on that the budget cut short.
    next: u32,
    found: Vec<Alike>,
}

#[derive(Clone, Copy, Debug)]
struct Owner {
    pid: u32,
    standing: Standing,
}

impl Listeners {
    pub(super) fn new(now: Instant) -> Self {
        let budget = Budget::new(now, PER_SECOND, AT_ONCE);
        Self { due: now, budget, owners: BTreeMap::new(), next: 0, found: Vec::new() }
    }

    /// When ports are to be looked at again.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// Tools as which unknown programs listen.
    pub(super) fn found(&self) -> &[Alike] {
        &self.found
    }

    /// Looks, if it is time. `table`: the processes that are known.
    pub(super) fn look(
        &mut self,
        at: (&Path, bool),
        catalogue: &Catalogue,
        reader: &mut Reader,
        table: &Table,
    ) {
        let now = Instant::now();
        if now < self.due {
            return;
        }
        self.due = now + EVERY;
        self.budget.refill(now);
        let open = open(at, catalogue);
        self.owners.retain(|inode, _| open.contains_key(inode));
        self.find_owners(&open, catalogue, reader, table);
        let owners: BTreeMap<u32, Standing> =
            self.owners.values().flatten().map(|owner| (owner.pid, owner.standing)).collect();
        let standing = |pid| match table.found.get(&pid) {
            Some(process) if !process.hit.hint => Standing::Known,
            _ => owners.get(&pid).copied().unwrap_or(Standing::Stock),
        };
        let owned = open.iter().filter_map(|(inode, port)| Some(((*self.owners.get(inode)?)?.pid, *port)));
        let alike = ports::alike(catalogue, Os::Linux, owned, standing);
        self.found = alike.into_iter().collect();
    }

    fn find_owners(
        &mut self,
        open: &BTreeMap<u64, Port>,
        catalogue: &Catalogue,
        reader: &mut Reader,
        table: &Table,
    ) {
        let mut missing: BTreeSet<u64> =
            open.keys().filter(|inode| !self.owners.contains_key(*inode)).copied().collect();
        if missing.is_empty() {
            return;
        }
        let all = reader.all().unwrap_or_default();
        let (done, rest) = all.split_at(all.partition_point(|pid| *pid < self.next));
        // Tools that are known by other signs first: most often such a port is theirs.
        for pid in table.found.keys().chain(rest).chain(done) {
            if !table.found.contains_key(pid) && !self.budget.take() {
                self.next = *pid;
                return;
            }
            let Some((program, process)) = reader.at(*pid) else { continue };
            let own = sockets::inodes(&process.join("fd")).unwrap_or_else(|error| {
                reader.missed(&error);
                HashSet::new()
            });
            let standing = stock::standing(catalogue, Os::Linux, Some(&program), false);
            let owner = Owner { pid: *pid, standing };
            self.owners.extend(
                missing.iter().filter(|inode| own.contains(inode)).map(|inode| (*inode, Some(owner))),
            );
            missing.retain(|inode| !own.contains(inode));
            if missing.is_empty() {
                break;
            }
        }
        self.next = 0;
        self.owners.extend(missing.into_iter().map(|inode| (inode, None)));
    }
}

/// Sockets whose processes would have to be known, by inode.
fn open((root, live): (&Path, bool), catalogue: &Catalogue) -> BTreeMap<u64, Port> {
    let udp = || sockets::waiting(live, &root.join("proc/net"));
    ports::to_look_for(catalogue, Os::Linux, sockets::listening(root, live), udp).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::os::unix::fs::symlink;
    use std::sync::{Arc, Mutex};

    use super::super::super::super::test::write;
    use super::super::renamed::Renamed;
    use super::*;

    /// A laptop whose processes, by program, have these TCP ports open.
    fn laptop(processes: &[(u32, &str, &[u16])]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let mut table = "  sl\n".to_owned();
        for (pid, program, ports) in processes {
            write(root.path(), &[(&format!("proc/{pid}/fd/0"), "")]);
            let folder = root.path().join("proc").join(pid.to_string());
            symlink(program, folder.join("exe")).unwrap();
            for port in *ports {
                let inode = u32::from(*port) + pid * 100_000;
                writeln!(table, " 0: 00000000:{port:04X} 00000000:0000 0A 0:0 0:0 0 0 0 {inode} 1").unwrap();
                symlink(format!("socket:[{inode}]"), folder.join(format!("fd/{port}"))).unwrap();
            }
        }
        write(root.path(), &[("proc/net/tcp", &table)]);
        root
    }

    struct Looks {
        listeners: Listeners,
        catalogue: Catalogue,
        reader: Reader,
    }

    impl Looks {
        fn at(root: &Path) -> Self {
            let reader = Reader::new(root, false, Arc::new(Mutex::new(Renamed::new())));
            Self { listeners: Listeners::new(Instant::now()), catalogue: Catalogue::shipped(), reader }
        }

        fn look(&mut self, root: &Path) -> Vec<String> {
            self.listeners.due = Instant::now();
            self.listeners.look((root, false), &self.catalogue, &mut self.reader, &Table::default());
            self.listeners.found().iter().map(|alike| format!("{} {}", alike.tool, alike.port)).collect()
        }
    }

    #[test]
    fn an_unknown_program_on_a_tools_port_is_found_and_the_systems_own_and_other_ports_are_not() {
        let root = laptop(&[
            (7, "/home/anna/helper", &[21_118, 3000]),
            (8, "/usr/bin/nc", &[5938]),
            (9, "/home/anna/server", &[4000, 7070, 8080]),
        ]);
        let mut looks = Looks::at(root.path());
        assert_eq!(looks.look(root.path()), ["rustdesk 21118"]);
        let only_shared = laptop(&[(9, "/home/anna/server", &[4000, 7070, 47_989])]);
        let mut looks = Looks::at(only_shared.path());
        looks.listeners.budget = Budget::new(Instant::now(), 0, 1);
        assert_eq!(looks.look(only_shared.path()), [""; 0]);
        assert!(looks.listeners.budget.take(), "nobody is looked for");
    }

    #[test]
    fn processes_are_walked_through_once_for_a_socket_and_it_is_forgotten_when_it_closes() {
        let root = laptop(&[(7, "/tmp/helper", &[5938])]);
        let mut looks = Looks::at(root.path());
        assert_eq!(looks.look(root.path()), ["teamviewer 5938"]);
        looks.listeners.budget = Budget::new(Instant::now(), 0, 0);
        assert_eq!(looks.look(root.path()), ["teamviewer 5938"], "known");
        write(root.path(), &[("proc/net/tcp", "  sl\n")]);
        assert_eq!(looks.look(root.path()), [""; 0]);
        assert!(looks.listeners.owners.is_empty());
    }

    #[test]
    fn a_socket_that_is_no_process_s_to_see_is_not_sought_again() {
        let root = laptop(&[(7, "/tmp/helper", &[5938])]);
        std::fs::remove_dir_all(root.path().join("proc/7")).unwrap();
        let mut looks = Looks::at(root.path());
        assert_eq!(looks.look(root.path()), [""; 0]);
        assert_eq!(looks.listeners.owners.values().filter(|owner| owner.is_none()).count(), 1);
    }

    #[test]
    fn a_walk_that_costs_too_much_goes_on_where_it_stopped() {
        let mut processes: Vec<(u32, &str, &[u16])> =
            (1..40).map(|pid| (pid, "/usr/bin/x", &[][..])).collect();
        processes.push((50, "/tmp/helper", &[5938]));
        let root = laptop(&processes);
        let mut looks = Looks::at(root.path());
        let mut rounds = 0;
        loop {
            // As if each look had room for eleven.
            looks.listeners.budget = Budget::new(Instant::now(), 0, 11);
            if !looks.look(root.path()).is_empty() {
                break;
            }
            rounds += 1;
            assert!(rounds < 9, "it never gets there");
        }
        assert_eq!(rounds, 3);
    }
}
