//! Certificates and their names.

use super::{Builder, Found, What};
use crate::config::record::Record;
use crate::config::{Certificate, Pem};

impl Builder<'_> {
    pub(super) fn certificate(&mut self, record: &Record) {
        let number = self.document.certificates.len();
        let (cert, key) = (record.pem("cert"), record.pem("key"));
        // A certificate has no name; its text is what makes it the same one after a reload.
        let fallback = match &cert {
            Some(Pem::Text(text) | Pem::File(text)) => text.to_string(),
            None => format!("unnamed:{number}"),
        };
        let id = self.id(record, "certificates", &fallback);
        self.names.register("certificates", &id, number);
        self.note_references(record, &format!("/certificates/{number}"));
        let empty = || Pem::Text("".into());
        self.document.certificates.push(Certificate {
            id,
            cert: cert.unwrap_or_else(empty),
            key: key.unwrap_or_else(empty),
            snis: Vec::new(),
            tags: record.texts("tags"),
            place: record.mark.place,
        });
    }

    pub(super) fn sni(&mut self, found: &Found<'_>) {
        let text = match found.what {
            What::Name(text) => Some(text),
            What::Record(record) => record.written_text("name"),
        };
        if let What::Record(record) = found.what
            && found.parent.is_none()
            && !record.attempted("certificate")
        {
            self.sink.push(record.mark, "in 'certificate': required field missing", None);
        }
        let (Some(owner), Some(text)) = (self.owner(found, "certificate"), text) else { return };
        let mark = if let What::Record(record) = found.what { record.mark_of("name") } else { found.mark };
        if let Some(first) = self.names.claim("snis", "name", &text.value, mark.place) {
            self.report_taken("snis", "name", text.shown(), mark, first);
        }
        let Some(certificate) = self.document.certificates.get_mut(owner) else { return };
        let number = certificate.snis.len();
        certificate.snis.push(text.value.to_ascii_lowercase().into());
        self.note_text(text, &format!("/certificates/{owner}/snis/{number}/name"));
    }
}
