use super::*;
use crate::telemetry::access::AccessRecord;
use std::io::Read;

fn example(status: u16) -> AccessRecord<'static> {
    AccessRecord { status, ..AccessRecord::example() }
}

/// Reads the file once it has `lines`, within a second.
fn wait_for(path: &std::path::Path, lines: usize) -> String {
    for _ in 0..200 {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        if text.lines().count() >= lines {
            return text;
        }
        thread::sleep(Duration::from_millis(5));
    }
    panic!("fewer than {lines} lines in {}", path.display());
}

#[test]
fn lines_of_all_workers_reach_the_file_and_a_rotated_one_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (path, rotated) = (folder.path().join("access.log"), folder.path().join("access.log.1"));
    let log = AccessLog::new();
    let (one, other) = (log.worker(), log.worker());
    one.log(&example(200)); // off: no line
    log.set(Some((AccessSink::File(path.clone()), AccessFormat::Json))).unwrap();
    one.log(&example(201));
    other.log(&example(202));
    one.tick();
    other.tick();
    wait_for(&path, 2);
    std::fs::rename(&path, &rotated).unwrap();
    log.reopen();
    drop(other);
    while !path.exists() {
        thread::sleep(Duration::from_millis(5));
    }
    one.log(&example(203));
    drop(one);
    assert!(log.close(Duration::from_secs(5)));
    assert_eq!(std::fs::read_to_string(&rotated).unwrap().lines().count(), 2);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("\"status\":203") && text.ends_with("}\n"), "{text}");
    assert_eq!(log.dropped(), 0);
}

#[test]
fn a_file_that_cannot_be_opened_is_an_error_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let log = AccessLog::new();
    let worker = log.worker();
    log.set(Some((AccessSink::File(path.clone()), AccessFormat::Combined))).unwrap();
    let missing = folder.path().join("none/access.log");
    assert!(log.set(Some((AccessSink::File(missing), AccessFormat::Json))).is_err());
    worker.log(&example(200));
    worker.tick();
    assert!(wait_for(&path, 1).starts_with("192.0.2.7 - - ["));
}

/// A sink that takes nothing until it is let.
struct Stuck(std::os::unix::net::UnixStream);

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_is_stuck_costs_lines_and_never_blocks_a_worker() {
    let (ours, mut reader) = std::os::unix::net::UnixStream::pair().unwrap();
    let log = AccessLog::new();
    let worker = log.worker();
    log.start(Output::new(AccessSink::Stdout, Box::new(Stuck(ours)))).unwrap();
    log.shared.format.store(1, Ordering::Relaxed);
    let mut logged = 0_u64;
    while log.dropped() < 1000 {
        worker.log(&example(200));
        logged += 1;
        assert!(logged < 1_000_000, "nothing was dropped");
    }
    // What waits is written when the reader reads again.
    drop(worker);
    assert!(!log.close(Duration::from_millis(50)), "the writer is stuck");
    let text = thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).map(|_| text)
    });
    assert!(log.close(Duration::from_secs(10)), "the reader reads again");
    let dropped = log.dropped();
    drop(log);
    let text = text.join().unwrap().unwrap();
    assert!(text.lines().all(|line| line.starts_with("{\"time\"") && line.ends_with('}')), "a line was torn");
    assert_eq!(text.lines().count() as u64 + dropped, logged);
}

#[test]
fn a_sink_that_fails_counts_its_lines_and_is_tried_again() {
    let log = AccessLog::new();
    let worker = log.worker();
    log.set(Some((AccessSink::File("/dev/full".into()), AccessFormat::Json))).unwrap();
    worker.log(&example(200));
    worker.log(&example(200));
    worker.tick();
    for _ in 0..400 {
        if log.dropped() == 2 {
            return;
        }
        thread::sleep(Duration::from_millis(5));
    }
    panic!("{} lines are counted as dropped", log.dropped());
}

/// A disk that is full after so many bytes, until it is not.
struct Small {
    left: usize,
    kept: Arc<Mutex<Vec<u8>>>,
}

impl Write for Small {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.left == 0 {
            self.left = usize::MAX;
            return Err(ErrorKind::StorageFull.into());
        }
        let part = &bytes[..bytes.len().min(self.left)];
        self.left -= part.len();
        self.kept.lock().extend_from_slice(part);
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn after_a_line_that_was_torn_the_next_begins_on_a_line_of_its_own_and_what_is_missing_is_counted() {
    let stop = AtomicBool::new(false);
    let check = |left: usize, text: &str, missing: u64| {
        let kept = Arc::<Mutex<Vec<u8>>>::default();
        let mut output = Output::new(AccessSink::Stdout, Box::new(Small { left, kept: kept.clone() }));
        let mut lines = b"one\ntwo\nthree\n".as_slice();
        assert!(output.write(&mut lines, &stop).is_err());
        assert_eq!(lines_in(lines), missing, "after {left} bytes");
        output.write(&mut b"four\n".as_slice(), &stop).unwrap();
        assert_eq!(String::from_utf8(kept.lock().clone()).unwrap(), text, "after {left} bytes");
    };
    check(4, "one\nfour\n", 2);
    check(6, "one\ntw\nfour\n", 2);
    check(7, "one\ntwo\nfour\n", 2);
    check(8, "one\ntwo\nfour\n", 1);
    check(13, "one\ntwo\nthree\nfour\n", 1);
}

#[test]
fn a_worker_that_ends_leaves_no_line_behind_however_many_it_had() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let log = AccessLog::new();
    log.set(Some((AccessSink::File(path.clone()), AccessFormat::Json))).unwrap();
    for lines in [1, 200, 1500] {
        let worker = log.worker();
        (0..lines).for_each(|_| worker.log(&example(200)));
    }
    assert!(log.close(Duration::from_secs(10)));
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 1701);
    assert_eq!(log.dropped(), 0);
}
