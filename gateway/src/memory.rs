//! How much memory there is for this process: what defaults follow.
use std::{fs, path::Path};

/// Bytes that this process may use: the machine's, or what its control group is limited to, whose kernel
/// ends it beyond. `None` where the system tells neither.
pub(crate) fn available() -> Option<u64> {
    below(Path::new("/"))
}

fn below(root: &Path) -> Option<u64> {
    [machine(root), control_group(root)]
        .into_iter()
        .flatten()
        .min()
}

/// The machine's memory: proc(5), `/proc/meminfo`, in KiB.
fn machine(root: &Path) -> Option<u64> {
    let text = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let total = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = total.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The least limit of the control group and those around it: cgroups(7). A container sees its own group as
/// the root, or, where groups have no namespaces, a path that it does not have.
fn control_group(root: &Path) -> Option<u64> {
    let text = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let groups = text.lines().filter_map(|line| {
        let (_, line) = line.split_once(':')?;
        let (controllers, path) = line.split_once(':')?;
        let (mount, file) = match controllers {
            "" => ("sys/fs/cgroup", "memory.max"),
            "memory" => ("sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => return None,
        };
        Some((root.join(mount), path.trim_start_matches('/'), file))
    });
    groups
        .filter_map(|(mount, path, file)| {
            let around = Path::new(path).ancestors();
            // Without a limit there is no number, or one beyond all memory.
            let limits = around.filter_map(|group| {
                let limit = fs::read_to_string(mount.join(group).join(file)).ok()?;
                limit.trim().parse::<u64>().ok()
            });
            limits.min()
        })
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A root folder with these files.
    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    const MACHINE: (&str, &str) = (
        "proc/meminfo",
        "MemTotal:       16384 kB\nMemFree:        1 kB\n",
    );

    fn found(files: &[(&str, &str)]) -> Option<u64> {
        below(root(&[&[MACHINE], files].concat()).path())
    }

    #[test]
    fn without_limits_it_is_the_machines() {
        assert_eq!(found(&[]), Some(16 << 20));
        let unlimited = [
            ("proc/self/cgroup", "0::/\n"),
            ("sys/fs/cgroup/memory.max", "max\n"),
        ];
        assert_eq!(found(&unlimited), Some(16 << 20));
        let unlimited = [
            ("proc/self/cgroup", "4:memory:/\n"),
            (
                "sys/fs/cgroup/memory/memory.limit_in_bytes",
                "9223372036854771712\n",
            ),
        ];
        assert_eq!(found(&unlimited), Some(16 << 20));
        assert_eq!(below(root(&[]).path()), None);
    }

    #[test]
    fn in_a_container_it_is_the_containers() {
        let second = [
            ("proc/self/cgroup", "0::/\n"),
            ("sys/fs/cgroup/memory.max", "4194304\n"),
        ];
        assert_eq!(found(&second), Some(4 << 20));
        // The path is the host's.
        let first = [
            ("proc/self/cgroup", "3:cpuset:/a/b\n4:memory:/a/b\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "2097152\n"),
        ];
        assert_eq!(found(&first), Some(2 << 20));
    }

    #[test]
    fn of_groups_within_groups_the_least_limit_counts() {
        let nested = [
            ("proc/self/cgroup", "0::/system.slice/kop.service\n"),
            ("sys/fs/cgroup/system.slice/memory.max", "3145728\n"),
            (
                "sys/fs/cgroup/system.slice/kop.service/memory.max",
                "8388608\n",
            ),
        ];
        assert_eq!(found(&nested), Some(3 << 20));
    }

    #[test]
    fn this_machine_tells() {
        assert!(available().is_some_and(|bytes| bytes > 64 << 20));
    }
}
