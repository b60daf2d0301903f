//! Children as the manager makes them: without its heap and constants.
use runstead_os::spawn::Spawner;
use std::sync::Once;

/// A spawner of this process. `RUNSTEAD_TEST_LEAN` asks for children that get no more of it than those of a manager; with
/// `MALLOC_ARENA_MAX=1` all its memory is in the heap that they do not get.
pub fn spawner() -> Spawner {
    static HIDE: Once = Once::new();
    HIDE.call_once(|| {
        if std::env::var_os("RUNSTEAD_TEST_LEAN").is_some() {
            runstead_os::sys::inherit::keep_from_children();
        }
    });
    Spawner::default()
}
