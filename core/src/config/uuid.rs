//! Ids that nobody wrote. Kong derives them from names by UUID v5 (`kong/db/schema/others/declarative_config.lua`), so that
//! they are stable over reloads and over gateways; the same names give the same ids here.

use ::uuid::Uuid;
use std::sync::Arc;

/// Kong's namespace of declarative entities.
const ENTITIES: Uuid = ::uuid::uuid!("fd02801f-0957-4a15-a55a-c8d9606f30b5");

/// The id of the entity of `kind` (`services`) that is known as `key`.
pub(super) fn derive(kind: &str, key: &str) -> Arc<str> {
    let namespace = Uuid::new_v5(&ENTITIES, kind.as_bytes());
    let id = Uuid::new_v5(&namespace, key.as_bytes());
    Arc::from(&*id.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
}

/// Whether it is a UUID as it is usually written.
pub(super) fn is_uuid(text: &str) -> bool {
    text.len() == 36 && Uuid::try_parse(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_that_another_implementation_of_rfc_9562_gives() {
        assert_eq!(&*derive("services", "web"), "268670a9-7534-5600-96d9-9f0f0aee2eb7");
        assert_ne!(derive("services", "web"), derive("routes", "web"));
        assert!(is_uuid(&derive("services", "web")));
    }

    #[test]
    fn a_uuid_has_its_hyphens_and_letters_of_either_case_and_nothing_around() {
        let check = |text: &str, expected: bool| assert_eq!(is_uuid(text), expected, "{text}");
        check("268670A9-7534-5600-96d9-9f0f0aee2eb7", true);
        check("268670a97534560096d99f0f0aee2eb7", false);
        check("{268670a9-7534-5600-96d9-9f0f0aee2eb7}", false);
        check("268670a9-7534-5600-96d9-9f0f0aee2ebg", false);
        check("268670a97-534-5600-96d9-9f0f0aee2eb7", false);
        check("", false);
    }
}
