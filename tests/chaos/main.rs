//! The real gateway with real replicas under mixed traffic, while things happen to them: killed, paused, scaled, replaced,
//! taken out, and documents that change, with a queue, hedging, outliers and their like; and to the gateway: another process
//! takes its place, name servers fail and lie, its log's disk is full, it may open no more files, its engine is out of reach, it
//! is killed, its wall clock leaps, its memory is nearly used up. What is sent when and what is done when is a pure function of
//! a seed. Every request is accounted for: *right*, *failed for a stated reason*, or *lost*, of which there must be none.
//!
//! | what happens | what may fail |
//! |---|---|
//! | nothing, or anything that the gateway does itself or is told of: scaling, replacing, stopping in good order, reloads good and bad, a target taken out by hand | nothing |
//! | somebody else tells a replica to stop, which ends in good order | nothing |
//! | nobody is home for a while | nothing: requests are held |
//! | a replica is paused, or loses its network and gets it back | nothing: answers come later |
//! | a replica is killed | an answer of its that had begun is cut, or 502 where its client had nothing of it yet; a POST that it had taken gets 502. What was not under way at that very moment, and any GET whose answer had not begun, is answered right |
//! | clients misbehave | nothing of others |
//! | the gateway gives its place to another process, with other workers, also with a mistake in the file | nothing: what was begun is finished |
//! | it is to, and the new process does not start, says nonsense, or lacks a target | nothing |
//! | the new process dies when it has just taken over | what it had begun: reset |
//! | the gateway is killed, and started again by who supervises it | what it had in hand: reset. Who connects until it serves again: refused. Replicas that it started end with it |
//! | the engine's socket is gone, takes calls and answers none, or its streams stall; meanwhile a replica is killed (and started again when the engine is heard again), comes, or goes in good order | nothing but what a kill excuses |
//! | name servers do not answer, answer late, with SERVFAIL or garbage, once that there is no such name, or with an address too many | nothing: what was known goes on |
//! | they say so twice | what asks for that upstream: 503 `failure to get a peer`, until they tell an address |
//! | they tell a wrong address | what asks for that upstream: 502 |
//! | the access log's disk is full, or nobody reads its pipe | nothing but lines, which are counted |
//! | no file can be opened | who wants one more: 503 `The gateway is overloaded`; who connects waits |
//! | the gateway's wall clock leaps by minutes to years, to one side, the other, and back; meanwhile the document is read again, a replica or the gateway is killed, or another process takes over | nothing but what a kill excuses; dates are as wrong as the clock, sessions of TLS are resumed |
//! | the memory limit of its cgroup is lowered to little more than what is used | who comes then: 503 `The gateway is overloaded`, with `Retry-After`. The kernel kills nobody |
//! | a WebSocket's replica, or its gateway, ends in good order | it is told to go, by a Close frame (1001) after a whole one |
//!
//! A call of gRPC is a POST, whatever it does: what is said of POSTs holds for calls. Where the gateway fails one it says why
//! in gRPC's way, and a stream of messages is whole only with the status that follows it: one that just ends is wrong,
//! whatever happened.
//!
//! Always: every byte of every answer is right, no POST is carried out twice and none that was answered was not, no answer takes
//! longer than 20 s. In the end nothing is left under way, the gateway's counters, added up over its processes, and its access log
//! agree with the clients' books, memory and descriptors are level, and every process of the gateway has ended in good order. Of a
//! process that is gone the counters are known up to its hand-over: what its drain counted is told by the log alone; of one that
//! was killed up to half a second before, and what it did since is told by nobody.
//!
//! Names and a small disk want root, for a mount namespace and port 53. Without, nothing happens to names, and the disk is
//! `/dev/full`. Memory wants root, too, and cgroups that can be made: without, nothing happens to it, which is said, and with
//! `PLIMSOLL_REQUIRE_DOCKER=1` a failure. The clock wants libfaketime.
//!
//! That it can fail was seen with gateways that were broken on purpose (seed 22, processes, 45 s): without retries 32 requests
//! were lost and the gateway counted more losses than the clients could explain; with POSTs repeated always, some were carried
//! out twice; with replicas killed instead of drained, 59 answers were cut or lost that nothing excused. With trailers dropped
//! (12 s), every call and every stream over HTTP/2 was lost, 283 of 2,401 requests. With hand-overs whose old process does not
//! drain (60 s), 75 of 12,000 were lost, cut or answered `The gateway is shutting down`; with a name forgotten at its first
//! failure, what asked for it was lost, and the act waited in vain for the old address to stay in use; the same where dropped
//! lines were not counted, and where the old process did not take its place back (seed 4). Where a death of the gateway excused
//! nothing, 432 of 2,847 were lost (seed 776, 14 s): 386 refused, the others in hand.
//! With requests timed by the wall clock (seed 158,115,618, 30 s) 88 lines of the access log told of a request that took longer
//! than any did. Where short memory excused nothing, 60 of 4,183 were lost (20 s); with a gateway that sheds from 97 % on, the
//! act waited in vain.
//!
//! `PLIMSOLL_CHAOS_SECONDS`: for so long; `PLIMSOLL_SEED`: what a failed run printed. Times are those of the machine: a
//! replay does the same things in the same order at about the same moments.

#![expect(clippy::expect_used, clippy::print_stderr, reason = "a test may stop, and prints its figures")]

mod account;
mod acts;
mod books;
mod checks;
mod clock;
mod document;
mod excuse;
mod fleet;
mod grpc;
mod http1;
mod http2;
mod log;
mod memory;
mod named;
mod noise;
mod replica;
mod run;
mod schedule;
mod traffic;
mod tunnel;
