//! The versions of a pipeline, kept for ever.

mod diff;
mod list;
mod moves;
mod set_state;
mod show;

use tidemill_store::VersionRecord;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::needs;
use crate::Api;
use crate::auth::Role;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(needs(Role::Read, routes!(list::list)))
        .routes(needs(Role::Read, routes!(moves::moves)))
        .routes(needs(Role::Read, routes!(show::show)))
        .routes(needs(Role::Read, routes!(diff::diff)))
        .routes(needs(Role::Admin, routes!(set_state::set_state)))
}

#[cfg(test)]
pub(super) fn examples() -> Vec<crate::testing::Example> {
    vec![list::example(), moves::example(), show::example(), diff::example(), set_state::example()]
}

/// The version that a text means: `active`, its number, its hash, or the first eight or more characters of that.
async fn find(api: &Api, name: &str, text: &str) -> Result<VersionRecord, Problem> {
    let found = match text {
        "active" => api.store.active(name).await?,
        text => api.store.find_version(name, text).await?,
    };
    found.ok_or_else(|| {
        Problem::not_found(format!("pipeline `{name}` has no version `{text}`"))
            .help("a version is `active`, a number, a hash, or the first eight or more characters of one")
    })
}
