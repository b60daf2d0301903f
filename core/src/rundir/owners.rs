//! Which unit a path in `/run` belongs to: what units say of their paths, else the unit of a process that listens there.
use super::Socket;
use std::collections::BTreeMap;

/// Paths below `/run` and their units.
#[derive(Debug, Default)]
pub struct Owners {
    /// The path and everything below it.
    trees: BTreeMap<String, String>,
}

impl Owners {
    /// What belongs to the manager itself; all else is to be added.
    pub fn new() -> Owners {
        let mut owners = Owners::default();
        owners.add("systemd", "init.scope");
        owners
    }

    /// The unit of a path.
    pub fn unit(&self, path: &str) -> Option<&str> {
        let mut path = path;
        loop {
            if let Some(unit) = self.at(path) {
                return Some(unit);
            }
            path = path.rsplit_once('/')?.0;
        }
    }

    /// The unit that has exactly this path, with all below it that is no other's.
    pub fn at(&self, path: &str) -> Option<&str> {
        self.trees.get(path).map(String::as_str)
    }

    /// The first unit that names a path, relative to `/run`, has it.
    pub fn add(&mut self, path: &str, unit: &str) {
        self.trees.entry(path.trim_matches('/').to_owned()).or_insert_with(|| unit.to_owned());
    }

    /// The same for an absolute path; one that is not below `root` is nobody's.
    pub fn add_below(&mut self, root: &str, path: &str, unit: &str) {
        if let Some(below) = below(root, path) {
            self.add(below, unit);
        }
    }

    /// What every service has, whatever it says.
    pub fn add_service(&mut self, unit: &str) {
        self.add(&format!("credentials/{unit}"), unit);
        let number = unit.strip_prefix("user-runtime-dir@").and_then(|rest| rest.strip_suffix(".service"));
        if let Some(number) = number {
            self.add(&format!("user/{number}"), unit);
        }
    }

    /// Sockets that nobody named, and who listens there.
    pub fn add_listeners(&mut self, root: &str, sockets: &BTreeMap<String, Socket>) {
        for (path, socket) in sockets {
            let Some(below) = below(root, path).filter(|below| self.unit(below).is_none()) else { continue };
            if let Some(unit) = socket.holders.iter().find_map(|holder| holder.unit.as_deref()) {
                self.add(below, unit);
            }
        }
    }
}

/// The part of a path behind the run root.
fn below<'a>(root: &str, path: &'a str) -> Option<&'a str> {
    let strip = |root: &str| path.strip_prefix(root)?.strip_prefix('/');
    strip(root).or_else(|| (root == "/run").then(|| strip("/var/run")).flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_belongs_to_the_nearest_tree() {
        let mut owners = Owners::default();
        owners.add_below("/run", "/run/dbus/system_bus_socket", "dbus.socket");
        owners.add("nginx", "nginx.service");
        owners.add("nginx", "other.service");
        owners.add_below("/run", "/var/run/nginx/deep/one", "one.service");
        owners.add_below("/run", "/etc/x", "x.service");
        owners.add_below("/run/user/1", "/run/user/1/bus", "bus.socket");
        assert_eq!(owners.unit("dbus/system_bus_socket"), Some("dbus.socket"));
        assert_eq!(owners.unit("dbus"), None);
        assert_eq!(owners.unit("nginx/a/b"), Some("nginx.service"));
        assert_eq!(owners.unit("nginx/deep/one/x"), Some("one.service"));
        assert_eq!(owners.unit("nginxx"), None);
        assert_eq!(owners.at("nginx/a"), None);
        assert_eq!(owners.unit("bus"), Some("bus.socket"));
    }

    #[test]
    fn services_have_credentials_and_users_their_directories() {
        let mut owners = Owners::new();
        owners.add_service("user-runtime-dir@7.service");
        assert_eq!(owners.unit("user/7/bus"), Some("user-runtime-dir@7.service"));
        assert_eq!(owners.unit("credentials/user-runtime-dir@7.service"), Some("user-runtime-dir@7.service"));
        assert_eq!(owners.unit("systemd/units"), Some("init.scope"));
    }
}
