//! The clock that stands still until it is advanced, and is kept in a file.

use super::Error;
use jiff::Timestamp;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tempfile::NamedTempFile;
use tokio::sync::watch;

pub(super) struct Manual {
    /// Held by the one who moves it.
    file: Mutex<PathBuf>,
    now_us: watch::Sender<i64>,
}

impl Manual {
    pub(super) fn open(file: &Path) -> Result<Self, Error> {
        let now = match fs::read_to_string(file) {
            Ok(said) => said.trim().parse().map_err(|_| Error::Unreadable { path: file.to_owned() })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let now = Timestamp::now();
                write(file, now)?;
                now
            }
            Err(source) => return Err(Error::File { path: file.to_owned(), source }),
        };
        let (now_us, _) = watch::channel(now.as_microsecond());
        Ok(Self { file: Mutex::new(file.to_owned()), now_us })
    }

    pub(super) fn now_us(&self) -> i64 {
        *self.now_us.borrow()
    }

    /// What has been is known from elsewhere at the next start, too, so it is not written.
    pub(super) fn not_before(&self, been_us: i64) {
        let _moving = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        self.now_us.send_if_modified(|now_us| {
            let is_ahead = been_us > *now_us;
            *now_us = been_us.max(*now_us);
            is_ahead
        });
    }

    /// Moves it from what it shows to what `to` makes of that.
    pub(super) fn advance(&self, to: impl FnOnce(i64) -> i64) -> Result<i64, Error> {
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let now_us = self.now_us();
        let to_us = to(now_us);
        let timestamp = |us| Timestamp::from_microsecond(us).map_err(|_| Error::Beyond);
        if to_us < now_us {
            return Err(Error::Back { now: timestamp(now_us)? });
        }
        // Written before anybody hears of it: whoever does finds it there after a restart.
        write(&file, timestamp(to_us)?)?;
        self.now_us.send_replace(to_us);
        Ok(to_us)
    }

    pub(super) async fn sleep_until(&self, due_us: i64) {
        // It cannot fail: what it waits for ends with this clock.
        let _ = self.now_us.subscribe().wait_for(|now_us| *now_us >= due_us).await;
    }
}

/// Replaces the file by one that holds this moment, and waits until that is on the disk.
fn write(file: &Path, now: Timestamp) -> Result<(), Error> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let written = NamedTempFile::new_in(folder).and_then(|mut half| {
        writeln!(half, "{now:.6}")?;
        half.as_file().sync_all()?;
        half.persist(file)?;
        File::open(folder)?.sync_all()
    });
    written.map_err(|source| Error::File { path: file.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::super::{Clock, Error, Kind};
    use jiff::Timestamp;
    use std::fs;
    use std::time::Duration;
    use tokio::time::timeout;

    /// After so long a sleeper is taken for one who never wakes.
    const WAIT: Duration = Duration::from_secs(30);

    #[test]
    fn it_stands_still_until_it_is_advanced_and_is_kept() {
        // Given one that shows the system's time at its first use
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("clock");
        let before_us = Timestamp::now().as_microsecond();
        let clock = Clock::manual(&file).expect("a clock");
        let begun_us = clock.now_us();
        assert!(begun_us >= before_us && begun_us <= Timestamp::now().as_microsecond());
        assert_eq!(clock.kind(), Kind::Manual);

        // Then it stands there, also after a restart
        let again = Clock::manual(&file).expect("a clock");
        assert_eq!((clock.now_us(), again.now_us()), (begun_us, begun_us));

        // When it is advanced, then it stands at the new moment
        let then_us = begun_us + 90_000_000;
        assert_eq!(clock.advance_by(Duration::from_secs(90)).expect("it is advanced"), then_us);
        assert_eq!(clock.clone().advance_to(then_us + 1).expect("it is advanced"), then_us + 1);
        assert_eq!((clock.now_us(), again.now_us()), (then_us + 1, begun_us));
        assert_eq!(Clock::manual(&file).expect("a clock").now_us(), then_us + 1);
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing is left beside it");
    }

    #[test]
    fn it_goes_neither_back_nor_too_far() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("clock");
        fs::write(&file, "2010-12-01T08:26:00Z\n").expect("a file");
        let clock = Clock::manual(&file).expect("a clock");
        let now_us = clock.now_us();
        assert_eq!(now_us, 1_291_191_960_000_000);
        let back = clock.advance_to(now_us - 1).expect_err("that has been");
        assert_eq!(back.to_string(), "the clock stands at 2010-12-01T08:26:00Z, and does not go back");
        for beyond in [clock.advance_to(i64::MAX), clock.advance_by(Duration::MAX)] {
            assert!(matches!(beyond, Err(Error::Beyond)), "{beyond:?}");
        }
        assert_eq!(clock.advance_to(now_us).expect("it stands there"), now_us);
        clock.not_before(now_us - 1);
        assert_eq!(clock.now_us(), now_us);
        clock.not_before(now_us + 1);
        assert_eq!(clock.now_us(), now_us + 1);
    }

    #[test]
    fn what_cannot_be_written_is_not_shown() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("gone").join("clock");
        fs::create_dir(folder.path().join("gone")).expect("a folder");
        let clock = Clock::manual(&file).expect("a clock");
        let now_us = clock.now_us();
        fs::remove_dir_all(folder.path().join("gone")).expect("it is there");
        let failed = clock.advance_by(Duration::from_secs(1));
        assert!(matches!(failed, Err(Error::File { .. })), "{failed:?}");
        assert_eq!(clock.now_us(), now_us);
        // A file that says nothing is not taken for one that is not there.
        fs::create_dir(folder.path().join("gone")).expect("a folder");
        fs::write(&file, "yesterday").expect("a file");
        assert!(matches!(Clock::manual(&file), Err(Error::Unreadable { .. })));
    }

    #[tokio::test]
    async fn who_sleeps_wakes_when_it_is_advanced_that_far() {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Clock::manual(&folder.path().join("clock")).expect("a clock");
        let due_us = clock.now_us() + 10;
        let sleeper = clock.clone();
        let mut sleeping = Box::pin(async move { sleeper.sleep_until(due_us).await });
        assert!(timeout(Duration::ZERO, &mut sleeping).await.is_err());
        clock.advance_to(due_us - 1).expect("it is advanced");
        assert!(timeout(Duration::ZERO, &mut sleeping).await.is_err());
        clock.advance_to(due_us).expect("it is advanced");
        timeout(WAIT, sleeping).await.expect("it wakes");
        timeout(WAIT, clock.sleep_until(due_us - 1)).await.expect("it has been");
    }

    #[test]
    fn one_of_the_systems_is_advanced_by_nobody() {
        let clock = Clock::system();
        assert_eq!(clock.kind(), Kind::System);
        assert!(matches!(clock.advance_by(Duration::ZERO), Err(Error::NotManual)));
        assert!(matches!(clock.advance_to(i64::MAX), Err(Error::NotManual)));
    }
}
