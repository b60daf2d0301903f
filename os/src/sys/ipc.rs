//! System V objects that outlive their makers (sysvipc(7)).

/// One kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Shared memory.
    Memory,
    /// Message queues.
    Queue,
    /// Semaphores.
    Semaphore,
}

/// All of them.
pub const KINDS: [Kind; 3] = [Kind::Memory, Kind::Queue, Kind::Semaphore];

impl Kind {
    /// Its table below `/proc/sysvipc`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Memory => "shm",
            Kind::Queue => "msg",
            Kind::Semaphore => "sem",
        }
    }

    /// The table's column of numbers.
    pub fn id_column(self) -> &'static str {
        match self {
            Kind::Memory => "shmid",
            Kind::Queue => "msqid",
            Kind::Semaphore => "semid",
        }
    }

    /// Removes one; whether it was there and could be removed.
    pub fn remove(self, id: i32) -> bool {
        // SAFETY: IPC_RMID takes no buffer, and what it removes is named by number only.
        let result = unsafe {
            match self {
                Kind::Memory => libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()),
                Kind::Queue => libc::msgctl(id, libc::IPC_RMID, std::ptr::null_mut()),
                Kind::Semaphore => libc::semctl(id, 0, libc::IPC_RMID),
            }
        };
        result == 0
    }
}
