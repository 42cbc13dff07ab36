//! Which collection an event was of that was too large to be sent: its token holds the collection's UUID.
//!
//! The server's message begins with the event's first element, `_id: { _data: "…" }`. In the key string of the token the
//! UUID stands as binary data of subtype 4: `5A`, its length `10`, `04`, 16 bytes. If the message should look otherwise
//! some day, the collection is just not named.

use bson::Uuid;

use super::command::Stream;
use crate::mongodb::{Deployment, preflight};
use crate::{ExtractError, Namespace, Scope};

/// What comes before the UUID, in hexadecimal digits.
const UUID_MARK: &str = "5A1004";
const UUID_DIGITS: usize = 32;

pub(super) async fn explained(deployment: &Deployment, error: ExtractError, stream: &Stream) -> ExtractError {
    let ExtractError::Server { message, .. } = error else { return error };
    let namespace = match (&stream.scope, &stream.namespaces[..]) {
        (Scope::Collection(namespace), _) => Some(namespace.clone()),
        (_, [only]) => Some(only.clone()),
        (_, several) => match uuid(&message) {
            Some(uuid) => owner(deployment, several, uuid).await,
            None => None,
        },
    };
    ExtractError::EventTooLarge { namespace, message }
}

/// The UUID in the token that a message quotes.
fn uuid(message: &str) -> Option<Uuid> {
    let (_, token) = message.split_once("_data: \"")?;
    let (token, _) = token.split_once('"')?;
    let (_, rest) = token.split_once(UUID_MARK)?;
    Uuid::parse_str(rest.get(..UUID_DIGITS)?).ok()
}

async fn owner(deployment: &Deployment, namespaces: &[Namespace], uuid: Uuid) -> Option<Namespace> {
    for namespace in namespaces {
        // Asked anew: what is known may be of an earlier collection of that name.
        let found = preflight::collection(deployment, namespace).await;
        if found.is_ok_and(|collection| collection.uuid == Some(uuid)) {
            return Some(namespace.clone());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::uuid;

    #[test]
    fn the_uuid_is_read_out_of_the_message() {
        let message = "BSONObj size: 20972086 (0x1400236) is invalid. Size must be between 0 and 16793600(16MB) First \
                       element: _id: { _data: \"8265A1B2C3000000012B022C0100296E5A10040123456789ABCDEF0123456789ABCDEF\
                       46645F69640064\" }";
        assert_eq!(uuid(message).unwrap().to_string(), "01234567-89ab-cdef-0123-456789abcdef");
        for other in ["", "_data: \"82", "_data: \"825A1004012\"", "_data: \"825A1004é\""] {
            assert_eq!(uuid(other), None);
        }
    }
}
