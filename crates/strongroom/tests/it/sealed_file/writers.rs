//! Many processes that write one file at once.

use std::process::Command;

use strongroom::SecretName;
use strongroom::provider::Stage;

use super::Room;
use super::child::{Writer, program};

#[test]
fn a_hundred_processes_that_write_at_once_lose_nothing() {
    let room = Room::new();
    let name = |n: usize| SecretName::parse(format!("writer/n{n}")).unwrap();
    let launch = |_| Writer::launch(&room, Command::new(program()));
    let mut writers: Vec<Writer> = (0..100).map(launch).collect();
    writers.iter_mut().for_each(Writer::expect_ready);
    // All of them wait for an order, and none waits for another to be told.
    for (n, writer) in writers.iter_mut().enumerate() {
        writer.order(&name(n), &format!("value {n}"));
    }
    for writer in writers {
        assert_eq!(writer.finish(), ["done"]);
    }

    assert_eq!(room.file.list().unwrap().len(), 100);
    assert_eq!(room.file.epoch().unwrap(), 101, "each wrote once");
    for n in 0..100 {
        let value = room.file.get(&name(n), &Stage::Current).unwrap();
        assert!(value.verify(format!("value {n}")), "{n}");
    }
    assert!(room.leftovers(&["value 7"]).is_empty());
}
