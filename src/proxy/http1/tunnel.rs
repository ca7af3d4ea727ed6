//! A connection that was upgraded (RFC 9110 §7.8): bytes both ways, until both ends have closed.
//!
//! A WebSocket is told when the gateway drains: its client gets a Close frame (1001) after the last whole frame of the
//! target, and nothing more of it. The client's own Close goes on to the target, which then ends the connection. What has
//! not ended so by the end of the drain is cut, as every other tunnel.

use super::respond::upgrade_head;
use super::side::Http1Side;
use crate::connect::Stream;
use crate::proxy::buffer::Buffer;
use crate::proxy::exchange::Exchange;
use crate::proxy::failure::Failure;
use crate::proxy::passing::interrupted;
use crate::proxy::request::Request;
use crate::proxy::slots::{Interrupt, Role, Slot};
use crate::proxy::worker::Worker;
use plimsoll_core::protocol::websocket::{Frames, GOING_AWAY};
use plimsoll_core::protocol::{Known, ResponseHead};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::AsyncWrite;

/// Sends the 101 on and carries bytes both ways. A tunnel in which nothing moves for `idle` is closed, as Kong does.
///
/// # Errors
/// Why it did not come about, or how it ended before both ends had closed.
pub(super) async fn upgrade(
    request: &mut Request,
    head: &ResponseHead,
    exchange: Exchange,
    side: &mut Http1Side<'_>,
    slot: &Slot,
    idle: Duration,
) -> Result<(), Failure> {
    let asked = request.head.upgrade && head.upgrade && exchange.is_sent();
    let (Exchange::Http1(exchange), true) = (exchange, asked) else {
        return Err(Failure::BadResponse("an upgrade that was not asked for"));
    };
    let out = upgrade_head(request, head);
    let worker = Rc::clone(&request.worker);
    request.detach();
    // What it waits for from now on is the other side's next word, whenever that is.
    slot.arm_request(None);
    let (mut target, target_input, counted) = exchange.into_upgraded();
    let client_input = side.input.take();
    let mut up = Direction { pending: client_input.map(|buffer| (buffer, 0)), ..Direction::default() };
    let mut down = Direction { pending: target_input.map(|buffer| (buffer, 0)), ..Direction::default() };
    if is_websocket(head) {
        down.follow_frames();
    }
    let mut head_at = 0;
    slot.arm(idle);
    let result = poll_fn(|cx| {
        let head_sent = if side.poll_interim(cx)?.is_ready() {
            let sent = side.stream.poll_write_all(cx, &out, &mut head_at)?;
            side.answered |= head_at > 0;
            sent
        } else {
            Poll::Pending
        };
        if head_sent.is_pending() {
            return slot.poll(cx).map(|interrupt| Err(interrupted(interrupt, Failure::ClientTimeout)));
        }
        if down.may_be_told() {
            slot.set_role(Role::WebSocket);
        }
        if down.may_be_told() && slot.poll(cx) == Poll::Ready(Interrupt::Drained) {
            slot.forget();
            slot.set_role(Role::Busy);
            down.farewell = Farewell::Wanted;
        }
        let moved = up.bytes + down.bytes;
        let to_target = up.poll(cx, &worker, side.stream, &mut target)?;
        let to_client = down.poll(cx, &worker, &mut target, side.stream)?;
        if to_target.is_ready() && to_client.is_ready() {
            return Poll::Ready(Ok(()));
        }
        if up.bytes + down.bytes != moved {
            slot.arm(idle);
        }
        loop {
            match ready!(slot.poll(cx)) {
                Interrupt::GivenUp if slot.waits_out_pause() => {}
                interrupt => return Poll::Ready(Err(interrupted(interrupt, Failure::ReadTimeout))),
            }
        }
    })
    .await;
    drop(counted);
    request.record.bytes_out = down.bytes;
    result
}

/// Whether the target has switched to WebSocket.
fn is_websocket(head: &ResponseHead) -> bool {
    head.known(Known::Upgrade).is_some_and(|protocol| protocol.eq_ignore_ascii_case(b"websocket"))
}

/// Whether the side that is written to was told that the gateway goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Farewell {
    #[default]
    None,
    /// As soon as a frame has ended.
    Wanted,
    Said,
}

/// One way of a tunnel. Holds a buffer only while bytes wait in it.
#[derive(Default)]
struct Direction {
    pending: Option<(Buffer, usize)>,
    ended: bool,
    closed: bool,
    bytes: u64,
    /// Of a WebSocket.
    frames: Option<Frames>,
    farewell: Farewell,
}

impl Direction {
    fn follow_frames(&mut self) {
        let mut frames = Frames::default();
        if let Some((buffer, _)) = &self.pending {
            frames.read(buffer.data());
        }
        self.frames = Some(frames);
    }

    fn may_be_told(&self) -> bool {
        self.frames.is_some() && self.farewell == Farewell::None
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        from: &mut Stream,
        to: &mut Stream,
    ) -> io::Result<Poll<()>> {
        loop {
            if let Some((buffer, at)) = &mut self.pending {
                let before = *at;
                let written = to.poll_write_all(cx, buffer.data(), at)?;
                self.bytes += (*at - before) as u64;
                if written.is_pending() {
                    return Ok(Poll::Pending);
                }
                if let Some((buffer, _)) = self.pending.take() {
                    worker.buffers.put(buffer);
                }
            }
            if self.closed {
                return Ok(Poll::Ready(()));
            }
            if self.farewell == Farewell::Wanted && self.frames.as_ref().is_none_or(Frames::at_boundary) {
                self.say_farewell(worker);
                continue;
            }
            if self.ended {
                if Pin::new(&mut *to).poll_shutdown(cx)?.is_pending() {
                    return Ok(Poll::Pending);
                }
                self.closed = true;
                return Ok(Poll::Ready(()));
            }
            match worker.buffers.poll_take(cx, from) {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(Some(buffer)) => self.take(worker, buffer),
                Poll::Ready(None) => self.ended = true,
            }
        }
    }

    /// What has come is to be written, but for what follows our good-bye.
    fn take(&mut self, worker: &Worker, mut buffer: Buffer) {
        if self.farewell == Farewell::Said {
            worker.buffers.put(buffer);
            return;
        }
        if let Some(frames) = &mut self.frames
            && let Some(end) = frames.read(buffer.data())
            && self.farewell == Farewell::Wanted
        {
            buffer.truncate(end);
            *frames = Frames::default();
        }
        self.pending = Some((buffer, 0));
    }

    fn say_farewell(&mut self, worker: &Worker) {
        self.farewell = Farewell::Said;
        let mut buffer = worker.buffers.take();
        buffer.append(&GOING_AWAY);
        self.pending = Some((buffer, 0));
    }
}
