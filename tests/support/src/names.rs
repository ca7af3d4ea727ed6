//! A name server that says what it is told to: the truth, nothing, or lies.

use parking_lot::Mutex;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// 1 s: it is asked again soon.
const TTL_S: u32 = 1;
/// RFC 1035 §4.1.1, and §3.2.2.
const HEADER: usize = 12;
const A: u8 = 1;

/// What it says to whoever asks for whatever name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Says {
    /// These addresses, after so long. None: that the name has no address (NODATA).
    Addresses(Vec<Ipv4Addr>, Duration),
    /// An error by its code (RFC 1035 §4.1.1): 2 is SERVFAIL, 3 is NXDOMAIN.
    Code(u8),
    /// Nothing.
    Nothing,
    /// Bytes that are no answer.
    Garbage,
    /// An answer that begins well, and whose record does not end.
    Torn,
}

/// Answers over UDP until it is dropped.
pub struct NameServer {
    says: Arc<Mutex<Says>>,
    asked: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl NameServer {
    /// Listens there.
    ///
    /// # Errors
    /// As the system says: who is not root cannot have port 53.
    pub async fn start(address: SocketAddr, says: Says) -> std::io::Result<Self> {
        let socket = Arc::new(UdpSocket::bind(address).await?);
        let (says, asked) = (Arc::new(Mutex::new(says)), Arc::new(AtomicU64::new(0)));
        let task = tokio::spawn(run(socket, Arc::clone(&says), Arc::clone(&asked)));
        Ok(Self { says, asked, task })
    }

    /// What it says from now on.
    pub fn say(&self, says: Says) {
        *self.says.lock() = says;
    }

    /// How often it was asked so far, answered or not.
    #[must_use]
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::Acquire)
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(socket: Arc<UdpSocket>, says: Arc<Mutex<Says>>, asked: Arc<AtomicU64>) {
    let mut packet = [0; 512];
    while let Ok((length, from)) = socket.recv_from(&mut packet).await {
        let says = says.lock().clone();
        let after = if let Says::Addresses(_, after) = &says { *after } else { Duration::ZERO };
        let answer = packet.get(..length).and_then(|question| answer(question, &says));
        asked.fetch_add(1, Ordering::Release);
        let Some(answer) = answer else { continue };
        let socket = Arc::clone(&socket);
        // Each on its own: a slow answer keeps no other waiting. Who asked may have gone.
        drop(tokio::spawn(async move {
            tokio::time::sleep(after).await;
            drop(socket.send_to(&answer, from).await);
        }));
    }
}

fn answer(packet: &[u8], says: &Says) -> Option<Vec<u8>> {
    // The question ends with the name's empty label, its type and its class; what follows is optional.
    let end = HEADER + packet.get(HEADER..)?.iter().position(|byte| *byte == 0)? + 5;
    let mut answer = packet.get(..end)?.to_vec();
    let is_a = packet[end - 3] == A;
    let (code, addresses) = match says {
        Says::Nothing => return None,
        Says::Garbage => return Some(packet.iter().rev().map(|byte| !byte).collect()),
        Says::Torn => (0, vec![Ipv4Addr::LOCALHOST]),
        Says::Code(code) => (*code, Vec::new()),
        Says::Addresses(addresses, _) if is_a => (0, addresses.clone()),
        Says::Addresses(..) => (0, Vec::new()),
    };
    answer[2..4].copy_from_slice(&[0x81, 0x80 | code]);
    answer[6..HEADER].fill(0);
    answer[7] = u8::try_from(addresses.len()).ok()?;
    for address in addresses {
        // The question's name, A, IN, the TTL, four bytes.
        answer.extend([0xc0, 12, 0, A, 0, 1]);
        answer.extend(TTL_S.to_be_bytes());
        answer.extend([0, 4]);
        answer.extend(address.octets());
    }
    if *says == Says::Torn {
        answer.truncate(answer.len() - 7);
    }
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks for `a.`, A and IN.
    const QUESTION: [u8; 19] = [7, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'a', 0, 0, A, 0, 1];

    #[test]
    fn an_answer_names_its_question_and_carries_addresses_or_a_code() {
        let said = |says| answer(&QUESTION, &says).unwrap();
        let addresses = said(Says::Addresses(vec![Ipv4Addr::new(127, 1, 2, 3)], Duration::ZERO));
        assert_eq!(addresses[..8], [7, 9, 0x81, 0x80, 0, 1, 0, 1]);
        assert_eq!(addresses[QUESTION.len()..], [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 127, 1, 2, 3]);
        assert_eq!(said(Says::Code(3))[2..8], [0x81, 0x83, 0, 1, 0, 0]);
        assert_eq!(said(Says::Torn).len(), addresses.len() - 7);
        assert_eq!(answer(&QUESTION, &Says::Nothing), None);
        assert_eq!(answer(&QUESTION[..14], &Says::Code(2)), None, "half a question");
    }
}
