use serde_json::json;

use super::*;
use crate::controller::fixtures::{brokers, config_map, found, needed, resource};

fn now() -> Timestamp {
    "2026-01-01T01:05:00Z".parse().unwrap()
}

fn pulsar() -> Found {
    found(brokers(config_map(json!({}), json!({}))))
}

fn checked(spec: serde_json::Value, found: &Found) -> Result<ValidatedGateway, Rejected> {
    validate(&resource(spec), found, &Settings::default(), now())
}

#[test]
fn pulsars_addresses_come_from_the_brokers_service() {
    let gateway = checked(json!({}), &pulsar()).unwrap();

    assert_eq!(
        gateway.pulsar.service_url,
        "pulsar://pulsar-broker.pulsar.svc:6650"
    );
    assert_eq!(
        gateway.pulsar.admin_url,
        "http://pulsar-broker.pulsar.svc:8080"
    );
}

#[test]
fn given_addresses_win_over_discovered_ones() {
    let spec = json!({ "pulsar": { "serviceUrl": "pulsar+ssl://p:6651" } });
    let gateway = checked(spec, &pulsar()).unwrap();

    assert_eq!(gateway.pulsar.service_url, "pulsar+ssl://p:6651");
    assert_eq!(
        gateway.pulsar.admin_url,
        "http://pulsar-broker.pulsar.svc:8080"
    );
}

#[test]
fn credentials_that_do_not_fit_their_type_are_refused() {
    let secret = json!({ "name": "s" });
    let issuer = json!({ "issuerUrl": "https://i.example.com" });
    let refusals = [
        (
            json!({ "type": "Token" }),
            "auth Token needs tokenSecretRef",
        ),
        (
            json!({ "type": "OAuth2", "oauth2": issuer }),
            "auth OAuth2 needs oauth2SecretRef",
        ),
        (
            json!({ "type": "OAuth2", "oauth2SecretRef": secret }),
            "auth OAuth2 needs oauth2",
        ),
        (
            json!({
                "type": "OAuth2", "oauth2SecretRef": secret, "oauth2": issuer,
                "tokenSecretRef": secret,
            }),
            "auth OAuth2 excludes tokenSecretRef",
        ),
        (
            json!({ "type": "Token", "tokenSecretRef": secret, "oauth2": issuer }),
            "oauth2 and oauth2SecretRef need auth OAuth2",
        ),
        (
            json!({ "type": "None", "oauth2SecretRef": secret }),
            "oauth2 and oauth2SecretRef need auth OAuth2",
        ),
    ];
    for (auth, message) in refusals {
        let spec = json!({ "pulsar": { "auth": auth } });
        let Rejected {
            reason,
            message: told,
        } = checked(spec, &pulsar()).unwrap_err();
        assert_eq!(
            (reason, told.as_str()),
            ("AuthIncomplete", message),
            "{auth}"
        );
    }
}

#[test]
fn the_credentials_of_an_issuers_client_have_a_key_by_default() {
    let spec = json!({ "pulsar": { "auth": {
        "type": "OAuth2",
        "oauth2SecretRef": { "name": "s" },
        "oauth2": { "issuerUrl": "https://i.example.com" },
    }}});
    let Auth::OAuth2 { credentials, .. } = checked(spec, &pulsar()).unwrap().pulsar.auth else {
        panic!("OAuth2 is wanted")
    };
    assert_eq!(credentials.key, "credentials.json");
}

#[test]
fn renamed_ports_are_found_by_what_they_end_in() {
    let mut brokers = brokers(config_map(json!({}), json!({})));
    brokers.services = vec![
        serde_json::from_value(json!({
            "metadata": { "name": "b", "namespace": "pulsar" },
            "spec": { "ports": [
                { "name": "tcp-pulsar", "port": 7650 }, { "name": "http", "port": 80 },
            ]},
        }))
        .unwrap(),
    ];
    let gateway = checked(json!({}), &found(brokers)).unwrap();

    assert_eq!(gateway.pulsar.service_url, "pulsar://b.pulsar.svc:7650");
    assert_eq!(gateway.pulsar.admin_url, "http://b.pulsar.svc:80");
}

#[test]
fn an_address_that_cannot_be_found_is_asked_for_by_name() {
    let mut brokers = brokers(config_map(json!({}), json!({})));
    brokers.services.clear();
    let rejected = checked(json!({}), &found(brokers)).unwrap_err();

    assert_eq!(rejected.reason, "PulsarAddressUnknown");
    assert!(rejected.message.contains("pulsar.serviceUrl"), "{rejected}");
}

#[test]
fn brokers_of_another_namespace_need_the_operators_consent() {
    let spec = json!({ "brokers": { "ref": { "name": "b", "namespace": "elsewhere" } } });
    assert_eq!(
        checked(spec.clone(), &pulsar()).unwrap_err().reason,
        "CrossNamespaceBrokers"
    );

    let consenting = Settings {
        allow_cross_namespace_brokers: true,
        ..Settings::default()
    };
    assert!(validate(&resource(spec), &pulsar(), &consenting, now()).is_ok());
}

#[test]
fn missing_brokers_are_the_resources_fault_unless_it_looks_away() {
    let unusable = FoundBrokers::Unusable {
        reason: "BrokersNotFound",
        message: "none".into(),
    };
    let found = Found {
        brokers: unusable,
        ..Found::default()
    };
    assert_eq!(
        checked(json!({}), &found).unwrap_err().reason,
        "BrokersNotFound"
    );

    let spec = json!({
        "brokers": { "ref": { "name": "b" }, "patchPolicy": "Off" },
        "pulsar": { "serviceUrl": "pulsar://p:6650", "adminUrl": "http://p:8080" },
    });
    assert!(matches!(
        checked(spec, &found).unwrap().brokers,
        Brokers::Unmanaged
    ));
}

#[test]
fn the_image_is_the_resources_or_else_the_operators() {
    let image = |image: serde_json::Value, default: Option<&str>| {
        let settings = Settings {
            gateway_image: default.map(str::to_owned),
            ..Settings::default()
        };
        validate(
            &resource(json!({ "gateway": image })),
            &pulsar(),
            &settings,
            now(),
        )
        .map(|gateway| gateway.image)
    };
    let digest = format!("sha256:{}", "0".repeat(64));

    assert_eq!(
        image(
            json!({ "image": { "repository": "r", "tag": "1", "digest": digest } }),
            None
        ),
        Ok(format!("r@{digest}"))
    );
    assert_eq!(
        image(
            json!({ "image": { "repository": "r", "tag": "1" } }),
            Some("d:2")
        ),
        Ok("r:1".into())
    );
    assert_eq!(image(json!({}), Some("d:2")), Ok("d:2".into()));
    assert_eq!(image(json!({}), None).unwrap_err().reason, "ImageUnknown");
}

#[test]
fn a_node_port_is_the_specs_then_the_services_then_the_remembered_one() {
    let listener = |node_port: serde_json::Value| {
        json!({ "listeners": [
            { "name": "ext", "port": 9094, "type": "nodeport", "nodePort": node_port },
        ]})
    };
    let ports = |object: &KafkaOnPulsar, found: &Found| {
        let gateway = validate(object, found, &Settings::default(), now()).unwrap();
        match &gateway.listeners.first().unwrap().exposure {
            Exposure::NodePort {
                bootstrap,
                gateways,
                ..
            } => (*bootstrap, gateways.get(&0).copied().flatten()),
            Exposure::Internal { .. } => panic!("the listener is a node port"),
        }
    };
    let mut object = resource(listener(json!({})));
    let mut found = pulsar();
    assert_eq!(ports(&object, &found), (None, None));

    object.status = serde_json::from_value(json!({ "listeners": [{
        "name": "ext", "type": "nodeport", "bootstrapNodePort": 31000,
        "gateways": [{ "id": 0, "nodePort": 31001 }],
    }]}))
    .unwrap();
    assert_eq!(ports(&object, &found), (Some(31000), Some(31001)));

    for (name, port) in [("demo-ext-bootstrap", 31500), ("demo-ext-0", 31501)] {
        let service = json!({
            "metadata": { "name": name }, "spec": { "ports": [{ "port": 9094, "nodePort": port }] },
        });
        found
            .services
            .insert(name.into(), serde_json::from_value(service).unwrap());
    }
    assert_eq!(ports(&object, &found), (Some(31500), Some(31501)));

    object.spec = resource(listener(json!({ "bootstrap": 32100, "base": 32110 }))).spec;
    assert_eq!(ports(&object, &found), (Some(32100), Some(32110)));
}

#[test]
fn brokers_count_as_configured_only_when_written_and_restarted() {
    let configured = |brokers| {
        checked(json!({}), &found(brokers))
            .unwrap()
            .brokers
            .are_configured()
    };

    assert!(!configured(brokers(config_map(json!({}), json!({})))));
    // Written, but nobody has restarted.
    assert!(!configured(brokers(config_map(json!({}), needed()))));

    let rightly = json!({
        "brokerDeleteInactiveTopicsEnabled": "false",
        "exposingBrokerEntryMetadataToClientEnabled": "true",
        "brokerEntryMetadataInterceptors": crate::controller::broker_config::INDEX_INTERCEPTOR,
    });
    assert!(configured(brokers(config_map(rightly, json!({})))));
}

#[test]
fn an_older_resource_with_the_same_brokers_keeps_us_from_touching_them() {
    let mut found = pulsar();
    found.rival = Some("pulsar/older".into());
    let gateway = checked(json!({}), &found).unwrap();

    assert!(!gateway.brokers.are_configured());
    let Brokers::Patch(brokers) = &gateway.brokers else {
        panic!("the policy is Patch")
    };
    assert!(!brokers.holds_settings());
}
