"""kafka-python."""
import kafka
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewTopic

from driver import DEADLINE, Client, Member, data, serve, text, until


def records(polled):
    return [
        {
            "key": text(r.key),
            "value": text(r.value),
            "headers": [[name, text(value)] for name, value in r.headers],
            "place": [r.partition, r.offset],
        }
        for partition in polled.values()
        for r in partition
    ]


def read(consumer, count):
    """Reads so many records and not one more, so that the position is just behind them."""
    found = []
    while len(found) < count:
        found += until("a record", lambda: records(consumer.poll(1000, max_records=count - len(found))) or None)
    return found


class KafkaPython(Client):
    def consumer(self, **settings):
        return KafkaConsumer(**{"bootstrap_servers": self.bootstrap, "enable_auto_commit": False,
                                "auto_offset_reset": "earliest", "heartbeat_interval_ms": 300, **settings})

    def admin(self):
        return KafkaAdminClient(bootstrap_servers=self.bootstrap)

    def version(self):
        return kafka.__version__

    def produce(self, topic, records, codec, idempotent):
        producer = KafkaProducer(bootstrap_servers=self.bootstrap, acks="all", linger_ms=20, enable_idempotence=idempotent,
                                 compression_type=None if codec == "none" else codec)
        sent = [
            producer.send(topic, key=data(r["key"]), value=data(r["value"]),
                          headers=[(name, data(value)) for name, value in r["headers"]])
            for r in records
        ]
        placed = [future.get(DEADLINE) for future in sent]
        producer.close()
        return [[place.partition, place.offset] for place in placed]

    def consume(self, topic, count):
        consumer = self.consumer(group_id=None)
        partitions = [TopicPartition(topic, partition) for partition in consumer.partitions_for_topic(topic)]
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        found = read(consumer, count)
        consumer.close()
        return found

    def resume(self, topic, group, count):
        consumer = self.consumer(group_id=group)
        consumer.subscribe([topic])
        found = read(consumer, count)
        consumer.commit()
        consumer.close()
        return found

    def join(self, topic, group, member):
        # Its listeners cannot commit; it does so by itself before partitions go to another member.
        consumer = self.consumer(group_id=group, client_id=member, enable_auto_commit=True)
        consumer.subscribe([topic])
        # Longer than anything takes: where a poll ends in the middle of a rebalance that new metadata began, this
        # client takes the rebalance as done, never looks at its assignment and stands still (seen with 3.0.12).
        self.members[member] = Member(consumer, lambda c: records(c.poll(2000)), KafkaConsumer.close)

    def create(self, topic, partitions, settings):
        wanted = NewTopic(topic, num_partitions=partitions, replication_factor=1, topic_configs=settings)
        self.admin().create_topics([wanted])

    def describe(self, topic):
        [found] = self.admin().describe_topics([topic])
        return len(found["partitions"])

    def settings(self, topic):
        resource = ConfigResource(ConfigResourceType.TOPIC, topic)
        found = self.admin().describe_configs([resource], config_filter="all")["topic"][topic]
        return {name: config["value"] for name, config in found.items() if config["value"] is not None}

    def alter(self, topic, settings):
        self.admin().alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, settings)])

    def delete(self, topic):
        self.admin().delete_topics([topic])


serve(KafkaPython)
