//! The OpenAPI document: what the operations say of themselves, and what holds for all of them.

use std::sync::OnceLock;

use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::{SchemaType, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, Info, OpenApi, Ref, RefOr, Required, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::auth::Role;
use crate::problem::{MEDIA, ProblemDocument};

const TOKEN: &str = "token";

/// The whole document.
pub fn document() -> &'static OpenApi {
    static DOCUMENT: OnceLock<OpenApi> = OnceLock::new();
    DOCUMENT.get_or_init(|| {
        let mut document = crate::routes::described().into_openapi();
        document.merge(crate::routes::hooks::described().into_openapi());
        finished(document)
    })
}

/// The document as JSON text, as it is served and as it is kept in `docs/openapi.json`.
pub fn text() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| document().to_pretty_json().unwrap_or_default() + "\n")
}

/// Marks an operation with the role that it needs, and with the answers that follow from asking for one.
pub(crate) fn secure(item: &mut PathItem, role: Role) {
    for operation in operations(item) {
        operation.security = Some(vec![SecurityRequirement::new(TOKEN, [role.name()])]);
        answer(operation, "401", "No token that is known here");
        answer(operation, "403", "The token's role does not suffice");
        answer(operation, "429", "Too many requests; `Retry-After` says when to come again");
    }
}

/// The operations of one address.
pub(crate) fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch].into_iter().flatten()
}

fn answer(operation: &mut Operation, status: &str, description: &str) {
    let answer = || RefOr::T(ResponseBuilder::new().description(description).build());
    operation.responses.responses.entry(status.to_owned()).or_insert_with(answer);
}

fn finished(mut document: OpenApi) -> OpenApi {
    document.info = Info::new("Tidemill", env!("CARGO_PKG_VERSION"));
    document.info.description = Some(
        "Pipelines, their versions, runs and everything about them. Every answer that is not a success is a problem \
         document (RFC 9457) with a code: 400 where the request itself is not as this document says, 422 where it is and what it says \
         cannot be taken; lists go on with the cursor `next`; answers to GET carry an `ETag`."
            .to_owned(),
    );
    let components = document.components.get_or_insert_with(Components::new);
    components
        .add_security_scheme(TOKEN, SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build()));
    components.schemas.insert(ProblemDocument::name().into_owned(), ProblemDocument::schema());
    let free: Vec<String> =
        components.schemas.iter().filter(|(_, schema)| needs_nothing(schema)).map(|(name, _)| name.clone()).collect();
    for item in document.paths.paths.values_mut() {
        for operation in operations(item) {
            complete(operation);
            plain(operation, &free);
        }
    }
    document
}

fn needs_nothing(schema: &RefOr<Schema>) -> bool {
    matches!(schema, RefOr::T(Schema::Object(object)) if object.required.is_empty())
}

/// What is optional is left out: a header or a part of a query is never `null`, and a body of which nothing is needed may be none.
fn plain(operation: &mut Operation, free: &[String]) {
    for parameter in operation.parameters.iter_mut().flatten() {
        if let Some(RefOr::T(Schema::Object(object))) = &mut parameter.schema
            && let SchemaType::Array(types) = &object.schema_type
            && let Some(kind) = types.iter().find(|kind| **kind != Type::Null)
        {
            object.schema_type = SchemaType::Type(kind.clone());
        }
    }
    if let Some(body) = &mut operation.request_body {
        let names = |content: &utoipa::openapi::Content| match &content.schema {
            Some(RefOr::Ref(schema)) => free.iter().any(|name| schema.ref_location.ends_with(&format!("/{name}"))),
            _ => false,
        };
        if body.content.values().all(names) {
            body.required = Some(Required::False);
        }
    }
}

/// What may happen everywhere, and the shape of whatever is not a success.
fn complete(operation: &mut Operation) {
    let takes = operation.request_body.is_some() || operation.parameters.as_ref().is_some_and(|list| !list.is_empty());
    if takes {
        answer(operation, "400", "The request is not understood");
    }
    if operation.parameters.iter().flatten().any(|parameter| parameter.name == "cursor") {
        answer(operation, "422", "The cursor is not one of this list");
    }
    if operation.request_body.is_some() {
        answer(operation, "413", "The body is too large");
        answer(operation, "415", "The body is of another type than expected");
    }
    answer(operation, "500", "A fault of the server");
    answer(operation, "503", "The server cannot answer now");
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        if status.starts_with(['4', '5']) && response.content.is_empty() {
            let schema = Ref::from_schema_name(ProblemDocument::name());
            response.content.insert(MEDIA.to_owned(), ContentBuilder::new().schema(Some(schema)).build());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// The document that is served is the one that was reviewed.
    #[test]
    fn the_document_is_the_golden_one() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, super::text()).expect("written");
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            golden == super::text(),
            "docs/openapi.json differs; if that is meant: UPDATE_GOLDEN=1 cargo test -p tidemill-api openapi"
        );
    }
}
