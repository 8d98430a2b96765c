//! An API server in process: objects by path, server-side apply with field managers, uids. It knows
//! just as much as the operator relies on, and writes down every request that changes something.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, Response};
use kube::Client;
use kube::client::Body;
use serde_json::{Map, Value, json};

/// A handle to the server; clones share it.
#[derive(Clone, Default)]
pub(crate) struct ApiServer {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Value>,
    /// What each manager applied last, by path and manager.
    applied: BTreeMap<(String, String), Value>,
    writes: Vec<String>,
    version: u64,
    /// Paths whose object is replaced by one with another uid right before it is written.
    replaced_before_write: Vec<String>,
    /// Paths that nobody may write.
    forbidden: Vec<String>,
}

type Answer = (u16, Value);

impl ApiServer {
    /// A client of it.
    pub(crate) fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
                let (code, answer) = server.state.lock().unwrap().answer(
                    &head.method,
                    head.uri.path(),
                    &query(head.uri.query().unwrap_or_default()),
                    &body,
                );
                let bytes = Bytes::from(serde_json::to_vec(&answer).unwrap());
                Ok::<_, Infallible>(
                    Response::builder()
                        .status(code)
                        .body(Full::new(bytes))
                        .unwrap(),
                )
            }
        });
        Client::new(service, "default")
    }

    /// Puts an object there as `manager` would.
    pub(crate) fn put(&self, path: &str, manager: &str, object: Value) {
        let mut state = self.state.lock().unwrap();
        let (code, answer) = state.apply(path, manager, true, &object);
        assert!(code < 300, "{path}: {answer}");
        state.writes.clear();
    }

    /// The object at a path.
    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        self.state.lock().unwrap().objects.get(path).cloned()
    }

    /// Changes an object as a controller of Kubernetes would.
    pub(crate) fn change(&self, path: &str, change: impl FnOnce(&mut Value)) {
        let mut state = self.state.lock().unwrap();
        change(
            state
                .objects
                .get_mut(path)
                .unwrap_or_else(|| panic!("{path} is not there")),
        );
        state.touch(path);
    }

    /// Everything that was written since the last call, as `VERB path` lines.
    pub(crate) fn take_writes(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().writes)
    }

    /// The version of every object but events, for telling whether anything changed.
    pub(crate) fn versions(&self) -> BTreeMap<String, Value> {
        let state = self.state.lock().unwrap();
        let of = |object: &Value| object["metadata"]["resourceVersion"].clone();
        state
            .objects
            .iter()
            .map(|(path, object)| (path.clone(), of(object)))
            .collect()
    }

    /// Lets somebody delete and re-create the object between the operator's read and write.
    pub(crate) fn replace_before_write(&self, path: &str) {
        self.state
            .lock()
            .unwrap()
            .replaced_before_write
            .push(path.to_owned());
    }

    /// Refuses every write to a path.
    pub(crate) fn forbid(&self, path: &str) {
        self.state.lock().unwrap().forbidden.push(path.to_owned());
    }
}

fn query(text: &str) -> BTreeMap<String, String> {
    let decode = |part: &str| {
        part.replace("%3D", "=")
            .replace("%2C", ",")
            .replace("%2F", "/")
    };
    text.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.to_owned(), decode(value)))
        .collect()
}

fn failure(code: u16, reason: &str, message: &str, causes: &[Value]) -> Answer {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
        "reason": reason, "message": message, "details": { "causes": causes },
    });
    (code, status)
}

impl State {
    fn answer(
        &mut self,
        method: &Method,
        path: &str,
        query: &BTreeMap<String, String>,
        body: &Value,
    ) -> Answer {
        if path.contains("/events") {
            return (201, body.clone());
        }
        let object_path = path.trim_end_matches("/status");
        if *method != Method::GET {
            self.writes.push(format!("{method} {path}"));
            if self.forbidden.iter().any(|forbidden| forbidden == path) {
                return failure(403, "Forbidden", "you may not", &[]);
            }
            if let Some(at) = self
                .replaced_before_write
                .iter()
                .position(|p| p == object_path)
            {
                self.replaced_before_write.remove(at);
                let uid = format!("new-{}", self.version);
                self.objects.get_mut(object_path).unwrap()["metadata"]["uid"] = json!(uid);
            }
        }
        match *method {
            Method::GET if is_collection(path) => (200, self.list(path, query)),
            Method::GET => match self.objects.get(path) {
                Some(object) => (200, object.clone()),
                None => failure(404, "NotFound", "not found", &[]),
            },
            Method::DELETE => match self.objects.remove(path) {
                Some(object) => (200, object),
                None => failure(404, "NotFound", "not found", &[]),
            },
            Method::PATCH => match query.get("fieldManager") {
                Some(manager) => {
                    let force = query.get("force").is_some_and(|force| force == "true");
                    self.apply(object_path, manager, force, body)
                }
                None => self.merge(object_path, body),
            },
            _ => failure(405, "MethodNotAllowed", "not known here", &[]),
        }
    }

    fn list(&self, collection: &str, query: &BTreeMap<String, String>) -> Value {
        let selector = query
            .get("labelSelector")
            .map(String::as_str)
            .unwrap_or_default();
        let selects = |object: &Value| {
            selector
                .split(',')
                .filter_map(|pair| pair.split_once('='))
                .all(|(key, value)| object["metadata"]["labels"][key].as_str() == Some(value))
        };
        let (group, plural) = collection.rsplit_once('/').unwrap();
        let inside = |path: &str| {
            let Some((parent, _)) = path.rsplit_once('/') else {
                return false;
            };
            parent == collection
                || (!group.contains("/namespaces/") && {
                    parent.starts_with(group) && parent.ends_with(&format!("/{plural}"))
                })
        };
        let items: Vec<_> = self
            .objects
            .iter()
            .filter(|(path, object)| inside(path) && selects(object))
            .map(|(_, object)| object.clone())
            .collect();
        json!({ "kind": "List", "apiVersion": "v1", "metadata": {}, "items": items })
    }

    fn merge(&mut self, path: &str, patch: &Value) -> Answer {
        let Some(object) = self.objects.get_mut(path) else {
            return failure(404, "NotFound", "not found", &[]);
        };
        let sent = &patch["metadata"]["resourceVersion"];
        if !sent.is_null() && *sent != object["metadata"]["resourceVersion"] {
            return failure(409, "Conflict", "the object has been modified", &[]);
        }
        for (key, value) in patch["metadata"].as_object().unwrap() {
            object["metadata"][key] = value.clone();
        }
        self.touch(path);
        (200, self.objects[path].clone())
    }

    fn apply(&mut self, path: &str, manager: &str, force: bool, body: &Value) -> Answer {
        let sent_uid = body["metadata"]["uid"].as_str();
        let stored_uid = self
            .objects
            .get(path)
            .map(|o| o["metadata"]["uid"].as_str().unwrap().to_owned());
        match (sent_uid, &stored_uid) {
            (Some(sent), Some(stored)) if sent == stored => {}
            (Some(_), Some(_)) => return failure(409, "Conflict", "uid mismatch", &[]),
            (Some(sent), None)
                if !path.contains("kop.pulsar.dev") && manager.contains("broker") =>
            {
                return failure(409, "Conflict", &format!("uid mismatch: {sent}"), &[]);
            }
            _ => {}
        }
        let mut wanted = BTreeMap::new();
        leaves(body, String::new(), &mut wanted);
        if !force && let Some(cause) = self.conflict(path, manager, &wanted) {
            return failure(409, "Conflict", "Apply failed with 1 conflict", &[cause]);
        }
        let before = self.objects.get(path).cloned();
        let mut object = before.clone().unwrap_or_else(|| json!({ "metadata": {} }));
        let key = (path.to_owned(), manager.to_owned());
        let mut had = BTreeMap::new();
        leaves(
            self.applied.get(&key).unwrap_or(&Value::Null),
            String::new(),
            &mut had,
        );
        for pointer in had.keys().filter(|pointer| !wanted.contains_key(*pointer)) {
            remove(&mut object, pointer);
        }
        overlay(&mut object, body);
        self.applied.insert(key, body.clone());
        if before.is_none() {
            object["metadata"]["uid"] =
                json!(sent_uid.map_or(format!("uid-{path}"), str::to_owned));
            object["metadata"]["generation"] = json!(1);
            object["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        allocate_node_port(&mut object, path);
        self.objects.insert(path.to_owned(), object);
        self.set_managed_fields(path);
        if before.as_ref() != self.objects.get(path) {
            self.touch(path);
        }
        if let Some(before) = before
            && before["spec"] != self.objects[path]["spec"]
        {
            let generation = before["metadata"]["generation"].as_i64().unwrap() + 1;
            self.objects.get_mut(path).unwrap()["metadata"]["generation"] = json!(generation);
        }
        (200, self.objects[path].clone())
    }

    /// A leaf that another manager holds at another value.
    fn conflict(
        &self,
        path: &str,
        manager: &str,
        wanted: &BTreeMap<String, Value>,
    ) -> Option<Value> {
        let others = self
            .applied
            .iter()
            .filter(|((p, m), _)| p == path && m != manager);
        others.into_iter().find_map(|((_, other), body)| {
            let mut held = BTreeMap::new();
            leaves(body, String::new(), &mut held);
            let (pointer, _) = wanted
                .iter()
                .find(|(p, v)| held.get(*p).is_some_and(|held| held != *v))?;
            Some(json!({
                "reason": "FieldManagerConflict",
                "message": format!("conflict with \"{other}\""), "field": pointer,
            }))
        })
    }

    fn set_managed_fields(&mut self, path: &str) {
        let managers = self.applied.iter().filter(|((p, _), _)| p == path);
        let entries: Vec<_> = managers
            .map(|((_, manager), body)| {
                let keys = body["data"].as_object().cloned().unwrap_or_default();
                let fields: Map<_, _> = keys
                    .keys()
                    .map(|key| (format!("f:{key}"), json!({})))
                    .collect();
                json!({
                    "manager": manager, "operation": "Apply", "apiVersion": "v1",
                    "fieldsType": "FieldsV1", "fieldsV1": { "f:data": fields },
                    "time": "2026-01-01T01:00:00Z",
                })
            })
            .collect();
        self.objects.get_mut(path).unwrap()["metadata"]["managedFields"] = json!(entries);
    }

    fn touch(&mut self, path: &str) {
        self.version += 1;
        let version = self.version.to_string();
        self.objects.get_mut(path).unwrap()["metadata"]["resourceVersion"] = json!(version);
    }
}

/// `…/namespaces/NS/PLURAL` and `…/VERSION/PLURAL` are lists; one segment more is an object.
fn is_collection(path: &str) -> bool {
    let segments: Vec<_> = path.trim_matches('/').split('/').collect();
    let root = if segments[0] == "api" { 2 } else { 3 };
    matches!(segments.len() - root, 1 | 3)
}

/// What a server-side apply owns: every value below `data`, `spec`, `status` and annotations;
/// lists as a whole.
fn leaves(value: &Value, pointer: String, found: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(map) => {
            for (key, child) in map {
                let identity = [
                    "apiVersion",
                    "kind",
                    "/metadata/name",
                    "/metadata/namespace",
                    "/metadata/uid",
                ];
                let at = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
                if !identity
                    .iter()
                    .any(|i| at.trim_start_matches('/') == i.trim_start_matches('/'))
                {
                    leaves(child, at, found);
                }
            }
        }
        Value::Null => {}
        leaf => {
            found.insert(pointer, leaf.clone());
        }
    }
}

fn remove(object: &mut Value, pointer: &str) {
    let Some((parent, key)) = pointer.rsplit_once('/') else {
        return;
    };
    let key = key.replace("~1", "/").replace("~0", "~");
    if let Some(Value::Object(map)) = object.pointer_mut(parent) {
        map.remove(&key);
    }
}

fn overlay(object: &mut Value, patch: &Value) {
    match (object, patch) {
        (Value::Object(object), Value::Object(patch)) => {
            for (key, value) in patch {
                overlay(object.entry(key).or_insert(Value::Null), value);
            }
        }
        (object, patch) => {
            // A Service keeps the node port that was chosen for it.
            let chosen = object[0]["nodePort"].clone();
            *object = patch.clone();
            if !chosen.is_null() && object[0]["nodePort"].is_null() {
                object[0]["nodePort"] = chosen;
            }
        }
    }
}

fn allocate_node_port(object: &mut Value, path: &str) {
    if object["kind"] == "Service" && object["spec"]["type"] == "NodePort" {
        let port = &mut object["spec"]["ports"][0]["nodePort"];
        if port.is_null() {
            *port = json!(30000 + path.bytes().map(u32::from).sum::<u32>() % 2000);
        }
    }
}
