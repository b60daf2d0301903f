//! Reading and writing attribute files, and enabling the controllers they belong to.
use super::{Cgroups, inside};
use crate::error::{Attempt, OsError};
use runstead_core::engine::effect::CgroupSpec;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::OwnedFd;

/// Longest attribute file that is read (`cgroup.procs` of very many processes).
const ATTRIBUTE_MAX: usize = 16 << 20;

impl Cgroups {
    /// Write an attribute file.
    pub fn write(&self, path: &str, attribute: &str, value: &str) -> Result<(), OsError> {
        let name = file(path, attribute)?;
        let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let fd = rustix::fs::openat(&self.dir, &name, flags, Mode::empty()).attempt("open", &name)?;
        rustix::io::write(&fd, value.as_bytes()).attempt("write", name).map(drop)
    }

    /// Read an attribute file.
    pub fn read(&self, path: &str, attribute: &str) -> Result<String, OsError> {
        let name = file(path, attribute)?;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let fd = rustix::fs::openat(&self.dir, &name, flags, Mode::empty()).attempt("open", &name)?;
        let bytes = read_all(&fd).map_err(|errno| OsError::new("read", name, errno))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Make the cgroup and write its attributes. Returned is what was weakened: attribute and reason.
    pub fn realize(&mut self, spec: &CgroupSpec) -> Result<Vec<(String, String)>, OsError> {
        if self.killed.contains(&*spec.path) {
            self.trim(&spec.path)?;
        }
        let new = self.create(&spec.path)?;
        let mut weakened = Vec::new();
        if let Err(error) = self.need(&spec.path, &spec.controllers) {
            weakened.push(("cgroup.subtree_control".to_owned(), error.to_string()));
        }
        for (attribute, value) in &spec.attributes {
            if let Err(error) = self.write_known(&spec.path, attribute, value) {
                weakened.push((attribute.to_string(), error.to_string()));
            }
        }
        if spec.watch && new {
            self.watch_new(&spec.path)?;
        } else if spec.watch {
            self.watch(&spec.path, true)?;
        }
        Ok(weakened)
    }

    /// Write an attribute of a controller that is there.
    fn write_known(&self, path: &str, attribute: &str, value: &str) -> Result<(), OsError> {
        let controller = attribute.split('.').next().unwrap_or_default();
        if controller != "cgroup" && !self.available.contains(controller) {
            return Err(OsError::new("use controller", controller, Errno::OPNOTSUPP));
        }
        self.write(path, attribute, value)
    }
}

pub(super) fn file(path: &str, attribute: &str) -> Result<String, OsError> {
    if attribute.contains('/') || attribute.is_empty() {
        return Err(OsError::new("use attribute", attribute, Errno::INVAL));
    }
    Ok(format!("{}/{attribute}", inside(path)?))
}

/// The kernel gives a list of processes a page at a time, whole lines only: less than was asked for is not its end.
fn read_all(fd: &OwnedFd) -> Result<Vec<u8>, Errno> {
    let mut bytes = Vec::new();
    let mut chunk = [0u8; 4096];
    loop {
        match rustix::io::read(fd, &mut chunk) {
            Ok(0) => return Ok(bytes),
            Ok(got) => bytes.extend_from_slice(&chunk[..got]),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
        if bytes.len() > ATTRIBUTE_MAX {
            return Err(Errno::FBIG);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::cgroup::tests::Scratch;
    use runstead_core::engine::effect::CgroupSpec;

    #[test]
    fn refused_attributes_weaken_and_do_not_fail() {
        let mut scratch = Scratch::new("attributes");
        let spec = CgroupSpec {
            path: "/a.slice/b.service".into(),
            attributes: vec![
                ("cgroup.max.depth".into(), "3".into()),
                ("nonsense.max".into(), "1".into()),
                ("cgroup.max.descendants".into(), "many".into()),
            ],
            ..CgroupSpec::default()
        };
        let weakened = scratch.0.realize(&spec).expect("made");
        let names: Vec<&str> = weakened.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["nonsense.max", "cgroup.max.descendants"]);
        assert_eq!(scratch.0.read("/a.slice/b.service", "cgroup.max.depth").expect("read"), "3\n");
        assert!(scratch.0.write("/", "../cgroup.procs", "0").is_err());
    }

    #[test]
    fn what_comes_in_parts_is_read_to_its_end() {
        let (read, write) = rustix::pipe::pipe().expect("a pipe");
        let writer = std::thread::spawn(move || {
            for part in ["1\n2\n", "3\n"] {
                rustix::io::write(&write, part.as_bytes()).expect("written");
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        });
        assert_eq!(super::read_all(&read), Ok(b"1\n2\n3\n".to_vec()));
        writer.join().expect("it wrote");
    }
}
