//! Starts requests when they are due.

use super::report::Tally;
use super::request::{Clients, Kind};
use super::{Load, Mix};
use crate::wait::wall_ms;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, sleep_until};

pub(super) async fn run(load: Load, tally: Arc<Tally>, mut stopped: oneshot::Receiver<()>) {
    let local = LocalSet::new();
    local
        .run_until(async {
            let (begin, begin_ms) = (Instant::now(), wall_ms());
            let gap = Duration::from_secs(1) / load.rate.max(1);
            // The same order in every run, so that a failure comes again.
            let mut random = fastrand::Rng::with_seed(u64::from(load.rate));
            let clients = Rc::new(Clients::new(load));
            let mut requests = JoinSet::new();
            for number in 0_u32.. {
                let due = begin + gap * number;
                tokio::select! {
                    biased;
                    _ = &mut stopped => break,
                    () = sleep_until(due) => {}
                }
                while requests.try_join_next().is_some() {}
                let kind = pick(clients.load.mix, &mut random);
                let due_ms = begin_ms + u64::try_from((due - begin).as_millis()).expect("a test is short");
                let (clients, tally) = (Rc::clone(&clients), Arc::clone(&tally));
                tally.sent();
                requests.spawn_local(async move {
                    let outcome = clients.send(number, kind).await;
                    tally.add(kind, due_ms, due.elapsed(), outcome);
                });
            }
            while requests.join_next().await.is_some() {}
        })
        .await;
}

fn pick(mix: Mix, random: &mut fastrand::Rng) -> Kind {
    let all = [(mix.get, Kind::Get), (mix.post, Kind::Post), (mix.slow, Kind::Slow)];
    let mut at = random.u32(..(mix.get + mix.post + mix.slow + mix.fresh).max(1));
    for (weight, kind) in all {
        if at < weight {
            return kind;
        }
        at -= weight;
    }
    if at.is_multiple_of(2) { Kind::FreshGet } else { Kind::FreshPost }
}
