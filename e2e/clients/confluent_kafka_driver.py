"""confluent-kafka: librdkafka for Python."""
import confluent_kafka
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic

from driver import DEADLINE, Client, Member, data, serve, text, until


def record(message):
    if message.error() is not None:
        raise KafkaException(message.error())
    return {
        "key": text(message.key()),
        "value": text(message.value()),
        "headers": [[name, text(value)] for name, value in message.headers() or []],
        "place": [message.partition(), message.offset()],
    }


def commit(consumer, *_):
    try:
        consumer.commit(asynchronous=False)
    except KafkaException as error:
        if error.args[0].code() != KafkaError._NO_OFFSET:  # nothing was read yet
            raise


def close(consumer):
    commit(consumer)
    consumer.close()


class ConfluentKafka(Client):
    def __init__(self, bootstrap):
        super().__init__(bootstrap)
        self.admin = AdminClient({"bootstrap.servers": bootstrap})

    def consumer(self, **settings):
        return Consumer({
            "bootstrap.servers": self.bootstrap,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "heartbeat.interval.ms": 300,
            **settings,
        })

    def version(self):
        return f"{confluent_kafka.__version__} (librdkafka {confluent_kafka.libversion()[0]})"

    def produce(self, topic, records, codec, idempotent):
        settings = {"bootstrap.servers": self.bootstrap, "acks": "all", "linger.ms": 20, "compression.type": codec}
        producer = Producer(settings | ({"enable.idempotence": True} if idempotent else {}))
        places = [None] * len(records)

        def delivered(number):
            def place(error, message):
                if error is not None:
                    raise KafkaException(error)
                places[number] = [message.partition(), message.offset()]
            return place

        for number, r in enumerate(records):
            headers = [(name, data(value)) for name, value in r["headers"]]
            producer.produce(topic, key=data(r["key"]), value=data(r["value"]), headers=headers,
                             on_delivery=delivered(number))
        if producer.flush(DEADLINE) > 0:
            raise TimeoutError("not all acknowledged")
        return places

    def consume(self, topic, count):
        consumer = self.consumer(**{"group.id": "none"})
        partitions = consumer.list_topics(topic, DEADLINE).topics[topic].partitions
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
        records = [record(until("a record", lambda: consumer.poll(1))) for _ in range(count)]
        consumer.close()
        return records

    def resume(self, topic, group, count):
        consumer = self.consumer(**{"group.id": group})
        consumer.subscribe([topic])
        records = [record(until("a record", lambda: consumer.poll(1))) for _ in range(count)]
        close(consumer)
        return records

    def join(self, topic, group, member):
        consumer = self.consumer(**{"group.id": group, "client.id": member})
        consumer.subscribe([topic], on_revoke=commit)
        self.members[member] = Member(consumer, lambda c: [record(m) for m in c.consume(100, 0.1)], close)

    def create(self, topic, partitions, settings):
        wanted = NewTopic(topic, num_partitions=partitions, config=settings)
        self.admin.create_topics([wanted])[topic].result(DEADLINE)

    def describe(self, topic):
        return len(self.admin.list_topics(topic, DEADLINE).topics[topic].partitions)

    def settings(self, topic):
        [answer] = self.admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, topic)]).values()
        return {name: entry.value for name, entry in answer.result(DEADLINE).items() if entry.value is not None}

    def alter(self, topic, settings):
        entries = [ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
                   for name, value in settings.items()]
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=entries)
        [answer] = self.admin.incremental_alter_configs([resource]).values()
        answer.result(DEADLINE)

    def delete(self, topic):
        self.admin.delete_topics([topic])[topic].result(DEADLINE)


serve(ConfluentKafka)
