//! What this environment could not give, in words for people: one line each.

/// One thing that a machine of root's has and this one has not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// What is missing.
    pub what: &'static str,
    /// Why.
    pub why: String,
    /// What that means for the one who looks at it.
    pub so: &'static str,
}

impl std::fmt::Display for Lack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "no {} ({}): {}", self.what, self.why, self.so)
    }
}

/// No cgroup could be made.
pub fn cgroups(why: &str) -> Lack {
    Lack {
        what: "control groups",
        why: why.to_owned(),
        so: "limits do nothing; processes are told apart by descent, session and INVOCATION_ID",
    }
}

/// The machine has one user.
pub fn users() -> Lack {
    let why = "one id is mapped without root";
    Lack { what: "other users", why: why.to_owned(), so: "units with User= or DynamicUser= fail" }
}

/// The machine is none: its services run on the caller's.
pub fn namespaces(why: String) -> Lack {
    let so =
        "services run beside your own processes, on your files and network; the run root alone is private";
    Lack { what: "namespaces", why, so }
}

/// A distribution has many users; why it cannot be booted by somebody who has one, and what to do about it.
pub fn subordinate_ids(name: &str, why: &str) -> String {
    format!(
        "--root needs subordinate ids, since a distribution has many users, and {why}.\n\
         Add the line '{name}:100000:65536' to /etc/subuid and /etc/subgid, and install newuidmap and newgidmap \
         (package uidmap or shadow-utils); or run this as root."
    )
}

/// A distribution cannot do without mounts.
pub fn distribution(why: &str) -> String {
    format!(
        "--root needs namespaces and mounts, which are refused here: {why}.\n\
         Try it on the host, or in a container without a system call filter (--security-opt seccomp=unconfined)."
    )
}
