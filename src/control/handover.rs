//! What a running gateway tells the process that takes its place, and what one that takes a place does with it.

use super::ApplyError;
use super::build::{Known, Rules, Said, read_document};
use super::handle::{Common, Handle, Say};
use super::reconciler::Reconciler;
use super::source::{Origin, Source};
use crate::handover::{Handed, HandedDocument, HandedTarget};
use plimsoll_core::config::Document;
use plimsoll_core::health::Checker;
use plimsoll_core::model::Cause;
use plimsoll_core::upstream::{Target, TargetIndex};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::oneshot;

/// Somebody who asks for what is to be handed over, and what the file's follower has seen.
pub(super) struct Ask {
    pub(super) reply: oneshot::Sender<Handed>,
}

/// As long as it lives no document is taken in: one that came now would be lost. Nor is anything set by hand, from when
/// targets were told.
pub(crate) struct Frozen(Arc<Common>);

impl Drop for Frozen {
    fn drop(&mut self) {
        *self.0.handing.told.lock() = false;
        self.0.handing.frozen.store(false, Ordering::Release);
    }
}

impl Handle {
    /// What another process needs to go on in this one's place, as soon as what was said is applied. No document is taken in
    /// until what comes with it is dropped.
    ///
    /// # Errors
    /// The gateway has stopped.
    pub(crate) async fn hand_over(&self) -> Result<(Handed, Frozen), ApplyError> {
        let frozen = Frozen(Arc::clone(&self.common));
        let (reply, answer) = oneshot::channel();
        self.common.ask.send(Ask { reply }).await.map_err(|_| ApplyError::Stopped)?;
        let mut handed = answer.await.map_err(|_| ApplyError::Stopped)?;
        let seen = self.common.seen.lock().clone();
        let posted = handed.documents.last().is_some_and(|document| document.posted);
        // A file that could not be applied is tried again: what is wrong with it should be told again.
        handed.seen = seen.filter(|_| posted);
        handed.file = match &self.common.origin {
            Origin::File(path) => std::path::absolute(path).ok(),
            Origin::Text(_) => None,
        };
        Ok((handed, frozen))
    }

    /// Returns when the document was to be read again by [`Self::reload`] and could not be, because another process was about
    /// to take over. Each time once.
    pub(crate) async fn missed_a_reload(&self) {
        self.common.handing.missed.notified().await;
    }

    /// Who was to read the document again cannot: whoever serves next does.
    pub(crate) fn miss_a_reload(&self) {
        self.common.handing.missed.notify_one();
    }

    /// What is known of targets at this moment, which stays so as long as `Frozen` lives.
    pub(crate) fn targets(&self, _frozen: &Frozen) -> Vec<HandedTarget> {
        let mut told = self.common.handing.told.lock();
        *told = true;
        let view = self.view();
        let mut targets = Vec::new();
        for upstream in &view.upstreams {
            let pool = upstream.pool();
            for (index, member) in (0..).map(TargetIndex).zip(pool.targets()) {
                let is_usable = pool.usable().iter().any(|usable| usable.index == index);
                let is_free = member.target.causes().without(pool.ignored()).is_empty();
                targets.push(tell(&upstream.id.to_string(), &member.target, is_usable && is_free));
            }
        }
        targets
    }

    /// Takes over what another process knew of targets.
    pub(crate) fn learn(&self, targets: &[HandedTarget]) {
        let view = self.view();
        for upstream in &view.upstreams {
            let id = upstream.id.to_string();
            let known: Vec<&HandedTarget> = targets.iter().filter(|told| told.upstream == id).collect();
            let pool = upstream.pool();
            let pairs = pool.targets().iter().filter_map(|member| {
                let (id, address) = (member.target.id.to_string(), member.target.address.to_string());
                let told = known.iter().find(|told| told.id == id && told.address == address)?;
                Some((&member.target, *told))
            });
            if pairs.fold(false, |changed, (target, told)| learn(target, told) | changed) {
                upstream.changed();
            }
        }
    }

    /// An upstream of which another process had something to pick, and of which this one has nothing.
    pub(crate) fn lacking(&self, targets: &[HandedTarget]) -> Option<Arc<str>> {
        let well = |told: &HandedTarget| told.ready && !told.refused && told.unhealthy.is_none();
        let pickable = |told: &HandedTarget| told.pickable.unwrap_or_else(|| well(told));
        let served = |id: &str| targets.iter().any(|told| told.upstream == id && pickable(told));
        let view = self.view();
        let mut empty = view.upstreams.iter().filter(|upstream| upstream.pool().usable().is_empty());
        empty.find(|upstream| served(&upstream.id.to_string())).map(|upstream| Arc::clone(&upstream.name))
    }

    /// Accepts connections from now on.
    pub(crate) fn accept(&self) {
        self.common.shared.waiting.store(false, Ordering::Release);
    }

    /// Says the document that was handed over.
    pub(super) async fn say_handed(&self, running: Said) -> Result<(), ApplyError> {
        let (reply, answer) = oneshot::channel();
        let Said { source, text, rules, .. } = running;
        let say = Say { text: Ok((source, text)), rules, read: None, reply: Some(reply) };
        self.common.say.send(say).await.map_err(|_| ApplyError::Stopped)?;
        answer.await.map_err(|_| ApplyError::Stopped)?.map(drop)
    }
}

fn tell(upstream: &str, target: &Target, pickable: bool) -> HandedTarget {
    let causes = target.causes();
    let unhealthy = target.counters().unhealthy.map(|checker| match checker {
        Checker::Active => "active",
        Checker::Passive => "passive",
        Checker::Operator => "operator",
    });
    HandedTarget {
        upstream: upstream.to_owned(),
        id: target.id.to_string(),
        address: target.address.to_string(),
        unhealthy: unhealthy.map(str::to_owned),
        ready: !causes.has(Cause::Starting),
        refused: causes.has(Cause::Refused),
        pickable: Some(pickable),
    }
}

/// Whether it changed anything.
fn learn(target: &Target, told: &HandedTarget) -> bool {
    let unhealthy = match told.unhealthy.as_deref() {
        Some("active") => Some(Checker::Active),
        Some("passive") => Some(Checker::Passive),
        Some("operator") => Some(Checker::Operator),
        _ => None,
    };
    let mut changed = unhealthy.is_some() && target.set_verdict(unhealthy);
    if target.fed {
        changed |= told.ready && target.clear(Cause::Starting);
        changed |= told.refused && target.set(Cause::Refused);
    }
    changed
}

impl Reconciler {
    /// Answers who asks for what is to be handed over, unless something that was said is not applied yet.
    pub(super) fn answer_handover(&mut self) {
        let Some(built) = self.built.as_ref().filter(|_| !self.is_busy()) else { return };
        let Some(Ask { reply }) = self.handover.take() else { return };
        let mut documents = Vec::new();
        let known = &built.known;
        documents.extend(known.before.iter().map(handed).chain([handed(&known.said)]));
        let sockets = self.bound.hand_over();
        self.common.handing.frozen.store(true, Ordering::Release);
        match sockets {
            // Who asked may have gone; then its `Frozen` has, or will.
            Ok(listeners) => {
                if reply.send(Handed { listeners, documents, ..Handed::default() }).is_err() {
                    self.common.handing.frozen.store(false, Ordering::Release);
                }
            }
            Err(error) => {
                tracing::error!(%error, "the listening sockets cannot be doubled");
                self.common.handing.frozen.store(false, Ordering::Release);
            }
        }
    }
}

fn handed(said: &Said) -> HandedDocument {
    let rules = said.rules.clone().unwrap_or_default();
    HandedDocument {
        posted: said.source == Source::Post,
        text: said.text.to_string(),
        allow: rules.allow.iter().map(|what| what.to_string()).collect(),
        references: rules.references,
    }
}

/// Documents that were handed over, read: the running one, and the one before it whose `gateway` it has.
pub(crate) struct Inherited {
    /// The one before.
    pub(super) before: Option<Known>,
    /// The running one.
    pub(super) running: Known,
}

impl Inherited {
    /// The running one.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(crate) fn document(
        documents: &[HandedDocument],
        file: &Arc<str>,
        folder: &Path,
    ) -> Result<Document, ApplyError> {
        Self::read(documents, file, folder).map(|inherited| Document::clone(&inherited.running.document))
    }

    /// Reads them by the rules by which they were read first.
    ///
    /// # Errors
    /// This version finds mistakes in them; or there is none.
    pub(super) fn read(documents: &[HandedDocument], file: &Arc<str>, folder: &Path) -> Result<Self, ApplyError> {
        let (mut before, mut running) = (None, None);
        for document in documents {
            let (source, name) = match document.posted {
                true => (Source::Post, Arc::from("POST /config")),
                false => (Source::File, Arc::clone(file)),
            };
            let rules = Rules {
                allow: document.allow.iter().map(|what| what.as_str().into()).collect(),
                references: document.references,
            };
            let rules = document.posted.then_some(rules);
            let said = Said { source, file: name, text: document.text.as_str().into(), rules, read: None };
            let known = read_document(said, running.as_ref(), folder.to_owned())?;
            before = running.replace(known);
        }
        Ok(Self { before, running: running.ok_or(ApplyError::Internal)? })
    }
}
