use k8s_openapi::api::core::v1::ServiceAccount;

use super::labels;
use crate::controller::validate::ValidatedGateway;

/// An account without any right: a gateway never speaks to Kubernetes.
pub(super) fn service_account(gateway: &ValidatedGateway) -> ServiceAccount {
    ServiceAccount {
        metadata: labels::metadata(gateway, labels::shared_name(&gateway.name), None),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}
