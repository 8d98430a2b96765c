use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::controller::validate::ValidatedGateway;

/// The resource that an object belongs to.
pub(crate) const NAME: &str = "kop.pulsar.dev/name";
/// The gateway that an object belongs to.
pub(crate) const GATEWAY_ID: &str = "kop.pulsar.dev/gateway-id";
/// The operator's name in `app.kubernetes.io/managed-by` and as field manager of its own objects.
pub(crate) const OPERATOR: &str = "kop-operator";
/// The label that every object of the operator carries.
pub(crate) const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// Selects every object of a resource.
pub(crate) fn selector_of_all(name: &str) -> String {
    format!("{MANAGED_BY}={OPERATOR},{NAME}={name}")
}

/// The Deployment of a gateway.
pub(crate) fn gateway_name(name: &str, id: i32) -> String {
    format!("{name}-gateway-{id}")
}

/// The ConfigMap and the ServiceAccount that all gateways of a resource share.
pub(crate) fn shared_name(name: &str) -> String {
    format!("{name}-gateway")
}

/// The Service that leads to any gateway. Listener names have no dash, so no two resources and
/// listeners make the same name.
pub(crate) fn bootstrap_service(name: &str, listener: &str) -> String {
    format!("{name}-{listener}-bootstrap")
}

/// The Service that leads to one gateway.
pub(crate) fn gateway_service(name: &str, listener: &str, id: i32) -> String {
    format!("{name}-{listener}-{id}")
}

/// What all gateways of a resource are selected by.
pub(crate) fn selector(gateway: &ValidatedGateway) -> BTreeMap<String, String> {
    BTreeMap::from([
        (
            "app.kubernetes.io/name".to_owned(),
            "kop-gateway".to_owned(),
        ),
        (NAME.to_owned(), gateway.name.clone()),
    ])
}

/// What one gateway is selected by.
pub(crate) fn selector_of(gateway: &ValidatedGateway, id: i32) -> BTreeMap<String, String> {
    let mut selector = selector(gateway);
    selector.insert(GATEWAY_ID.to_owned(), id.to_string());
    selector
}

/// The metadata of an object of the resource, or of one of its gateways.
pub(crate) fn metadata(gateway: &ValidatedGateway, name: String, id: Option<i32>) -> ObjectMeta {
    let mut labels = match id {
        Some(id) => selector_of(gateway, id),
        None => selector(gateway),
    };
    labels.insert(
        "app.kubernetes.io/instance".to_owned(),
        gateway.name.clone(),
    );
    labels.insert(MANAGED_BY.to_owned(), OPERATOR.to_owned());
    ObjectMeta {
        name: Some(name),
        namespace: Some(gateway.namespace.clone()),
        labels: Some(labels),
        owner_references: Some(vec![gateway.owner.clone()]),
        ..ObjectMeta::default()
    }
}
