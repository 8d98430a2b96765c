//! ApiVersions, versions 0 to 4: what this gateway serves.
//!
//! The first request of a client, in the newest version it knows. A version that is not known here is
//! answered in version 0 with the range that is (KIP-511), so that the client asks again.
use kop_wire::kafka_protocol::{
    ResponseError,
    messages::{
        ApiKey, ApiVersionsRequest, ApiVersionsResponse, api_versions_response::ApiVersion,
    },
};

use super::{APIS, Api, Call};

pub(crate) async fn handle(call: &Call, request: ApiVersionsRequest) -> ApiVersionsResponse {
    let response = ApiVersionsResponse::default();
    if call.version >= 3
        && !(is_software(&request.client_software_name)
            && is_software(&request.client_software_version))
    {
        return response.with_error_code(call.refuse(ResponseError::InvalidRequest));
    }
    response.with_api_keys(APIS.iter().map(advertised).collect())
}

/// The answer to a version of ApiVersions that is not served, to be written in version 0.
pub(crate) fn unsupported() -> ApiVersionsResponse {
    let own = APIS.iter().filter(|api| api.key == ApiKey::ApiVersions);
    ApiVersionsResponse::default()
        .with_error_code(ResponseError::UnsupportedVersion.code())
        .with_api_keys(own.map(advertised).collect())
}

fn advertised(api: &Api) -> ApiVersion {
    ApiVersion::default()
        .with_api_key(api.key as i16)
        .with_min_version(api.advertised_from)
        .with_max_version(*api.versions.end())
}

/// `[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?`, as KIP-511 has it.
fn is_software(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
    let (Some(first), Some(last)) = (name.bytes().next(), name.bytes().last()) else {
        return false;
    };
    first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() && name.bytes().all(inner)
}
