//! Signs of life.

mod alive;
mod components;
mod ready;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::needs;
use crate::Api;
use crate::auth::Role;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(alive::alive))
        .routes(routes!(ready::ready))
        .routes(needs(Role::Read, routes!(components::components)))
}

#[cfg(test)]
pub(super) fn examples() -> Vec<crate::testing::Example> {
    vec![alive::example(), ready::example(), components::example()]
}
