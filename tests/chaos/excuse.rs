//! Why a request may have failed: the rules of the table in `main.rs`.

use crate::account::Outcome;
use crate::named::NAMED;
use crate::schedule::Request;

/// What excuses something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Replicas lose everything that they have in hand.
    Killed,
    /// Name servers say that the name has no address.
    Nameless,
    /// They name an address where nobody is.
    Misled,
    /// A process of the gateway dies with all that it has.
    GatewayDied,
    /// There is none until another one is started.
    NoGateway,
    /// The gateway may open no more files.
    NoDescriptors,
    /// Its memory is nearly used up.
    MemoryShort,
}

/// What the gateway says where the only target of an upstream has no address, and where it has no room.
const NO_PEER: &str = "failure to get a peer";
const OVERLOADED: &str = "The gateway is overloaded";
/// When who is told so may come again, as [`refused`] puts it.
const SOON: &str = "Retry-After: 1; ";
/// What the system says where nobody listens.
const REFUSED: &str = "Connection refused";
/// The gateway had sent a head, as far as it knows: a reset overtakes what HTTP/2 still has in its queue.
pub(crate) const RESET_BEFORE_HEAD: &str = "reset before its client had the head";
/// Of a POST that was taken and not answered.
pub(crate) const KILLED_WITH_IT: &str = "502: its replica was killed with it";

/// A WebSocket, in whole frames.
const TOLD: &str = "told to go (1001): its replica or its gateway ended in good order";
/// By a name server, twice.
pub(crate) const NAMELESS: &str = "503: its name was said to have no address";
/// By a name server.
pub(crate) const MISLED: &str = "502: its name was said to be where nobody is";
/// Whatever it had in hand.
pub(crate) const GATEWAY_DIED: &str = "its gateway was killed";
/// It was sent nowhere.
pub(crate) const NO_GATEWAY: &str = "refused: its gateway was not back yet";
/// What wanted a file more was turned away.
pub(crate) const NO_DESCRIPTORS: &str = "503: no descriptor was left";
/// Whatever came then, before it was looked at who it was for.
pub(crate) const MEMORY_SHORT: &str = "503: memory was short, and it was told to come again";

/// An answer that was not asked for, with what its client is told.
pub(crate) fn refused(status: u16, retry_after: Option<&str>, why: &str) -> Outcome {
    let when = retry_after.map(|when| format!("Retry-After: {when}; ")).unwrap_or_default();
    Outcome::Answered(status, when + why)
}

/// The table: why a request may have failed.
pub(crate) fn excuse(request: &Request, outcome: &Outcome, troubles: &[Trouble]) -> Option<&'static str> {
    let (kind, there_was) = (request.kind, |what| troubles.contains(&what));
    let (killed, is_named) = (there_was(Trouble::Killed), kind.service() == NAMED);
    match outcome {
        Outcome::Told(_) => Some(TOLD),
        Outcome::Answered(503, why) if is_named && there_was(Trouble::Nameless) && why.contains(NO_PEER) => {
            Some(NAMELESS)
        }
        Outcome::Answered(502, _) if is_named && there_was(Trouble::Misled) => Some(MISLED),
        Outcome::Answered(503, why) if there_was(Trouble::NoDescriptors) && why.contains(OVERLOADED) => {
            Some(NO_DESCRIPTORS)
        }
        Outcome::Answered(503, why) if there_was(Trouble::MemoryShort) && is_told_to_come_again(why) => {
            Some(MEMORY_SHORT)
        }
        Outcome::None(why) if there_was(Trouble::NoGateway) && why.contains(REFUSED) => Some(NO_GATEWAY),
        Outcome::Cut(..) | Outcome::None(_) if there_was(Trouble::GatewayDied) => Some(GATEWAY_DIED),
        _ if is_named => None,
        Outcome::Cut(..) if killed => Some("cut: its replica was killed"),
        Outcome::Answered(502, _) if killed && kind.is_post() => Some(KILLED_WITH_IT),
        Outcome::Answered(502, _) if killed && kind.is_long() => Some("cut before its client had the head"),
        Outcome::None(_) if killed && kind.may_be_reset() => Some(RESET_BEFORE_HEAD),
        _ => None,
    }
}

fn is_told_to_come_again(why: &str) -> bool {
    why.strip_prefix(SOON).is_some_and(|words| words.contains(OVERLOADED))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Kind;

    fn request(kind: Kind) -> Request {
        Request { kind, ..Request::of(0, 0) }
    }

    #[test]
    fn a_kill_excuses_what_was_in_the_replicas_hands_and_nothing_else_does() {
        let (answered, cut) = (|status| Outcome::Answered(status, String::new()), || Outcome::Cut(200, String::new()));
        let check = |kind, outcome, killed: bool, excused: bool| {
            let troubles: &[Trouble] = if killed { &[Trouble::Killed] } else { &[] };
            assert_eq!(excuse(&request(kind), &outcome, troubles).is_some(), excused, "{kind:?} {outcome:?} {killed}");
        };
        check(Kind::Post, answered(502), true, true);
        check(Kind::Post, answered(502), false, false);
        check(Kind::Get, answered(502), true, false);
        check(Kind::Events, answered(502), true, true);
        check(Kind::Events, answered(502), false, false);
        check(Kind::Post, answered(503), true, false);
        check(Kind::Download, cut(), true, true);
        check(Kind::Download, cut(), false, false);
        check(Kind::Post, Outcome::None(String::new()), true, false);
        check(Kind::Get, Outcome::Wrong(String::new()), true, false);
        check(Kind::Call, answered(502), true, true);
        check(Kind::Call, answered(502), false, false);
        check(Kind::CallStream, answered(504), true, false);
        check(Kind::CallStream, cut(), true, true);
        check(Kind::CallStream, cut(), false, false);
        check(Kind::CallStream, Outcome::None(String::new()), true, true);
        check(Kind::CallStream, Outcome::None(String::new()), false, false);
        check(Kind::CallStream, Outcome::Wrong(String::new()), true, false);
    }

    #[test]
    fn short_memory_excuses_exactly_one_answer() {
        let check = |kind, outcome, troubles: &[Trouble], excused: bool| {
            assert_eq!(
                excuse(&request(kind), &outcome, troubles).is_some(),
                excused,
                "{kind:?} {outcome:?} {troubles:?}"
            );
        };
        let short = &[Trouble::MemoryShort];
        check(Kind::Post, refused(503, Some("1"), OVERLOADED), short, true);
        check(Kind::NamedGet, refused(503, Some("1"), OVERLOADED), short, true);
        check(Kind::Call, refused(503, Some("1"), OVERLOADED), short, true);
        check(Kind::Post, refused(503, Some("1"), OVERLOADED), &[Trouble::Killed], false);
        check(Kind::Post, refused(503, None, OVERLOADED), short, false);
        check(Kind::Post, refused(503, Some("60"), OVERLOADED), short, false);
        check(Kind::Call, refused(503, None, OVERLOADED), short, false);
        check(Kind::Post, refused(503, Some("1"), "The service is overloaded"), short, false);
        check(Kind::Post, refused(502, Some("1"), OVERLOADED), short, false);
        check(Kind::Post, Outcome::None(REFUSED.to_owned()), short, false);
        check(Kind::Post, Outcome::Cut(200, String::new()), short, false);
    }

    #[test]
    fn each_trouble_excuses_what_it_touches_and_no_more() {
        let answered = |status, why: &str| Outcome::Answered(status, why.to_owned());
        let (cut, none) = (|| Outcome::Cut(200, String::new()), || Outcome::None(String::new()));
        let check = |kind, outcome, trouble, excused: bool| {
            assert_eq!(
                excuse(&request(kind), &outcome, &[trouble]).is_some(),
                excused,
                "{kind:?} {outcome:?} {trouble:?}"
            );
        };
        check(Kind::NamedGet, answered(503, NO_PEER), Trouble::Nameless, true);
        check(Kind::NamedGet, answered(503, NO_PEER), Trouble::Misled, false);
        check(Kind::NamedGet, answered(503, ""), Trouble::Nameless, false);
        check(Kind::Get, answered(503, NO_PEER), Trouble::Nameless, false);
        check(Kind::NamedPost, answered(502, ""), Trouble::Misled, true);
        check(Kind::NamedPost, answered(502, ""), Trouble::Nameless, false);
        check(Kind::NamedPost, answered(502, ""), Trouble::Killed, false);
        check(Kind::NamedGet, cut(), Trouble::Killed, false);
        check(Kind::Get, none(), Trouble::GatewayDied, true);
        check(Kind::NamedPost, cut(), Trouble::GatewayDied, true);
        check(Kind::Get, answered(502, ""), Trouble::GatewayDied, false);
        check(Kind::Get, Outcome::Wrong(String::new()), Trouble::GatewayDied, false);
        check(Kind::Post, Outcome::None(REFUSED.to_owned()), Trouble::NoGateway, true);
        check(Kind::Post, Outcome::None(REFUSED.to_owned()), Trouble::Killed, false);
        check(Kind::Post, none(), Trouble::NoGateway, false);
        check(Kind::Get, cut(), Trouble::NoGateway, false);
        check(Kind::Get, answered(503, ""), Trouble::NoGateway, false);
        check(Kind::Post, answered(503, OVERLOADED), Trouble::NoDescriptors, true);
        check(Kind::Post, answered(503, "failure to get a peer"), Trouble::NoDescriptors, false);
        check(Kind::Post, none(), Trouble::NoDescriptors, false);
    }
}
