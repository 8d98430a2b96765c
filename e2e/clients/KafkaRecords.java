import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Kafka's Java client as a process that says on standard output what happened, one line an event.
 *
 * <pre>
 * create    BOOTSTRAP TOPIC PARTITIONS            created TOPIC
 * delete    BOOTSTRAP TOPIC                       deleted TOPIC
 * produce   BOOTSTRAP TOPIC FIRST COUNT PREFIX    acked PARTITION OFFSET VALUE, in order of acknowledgement;
 *                                                  waited MILLISECONDS before it, where that is long;
 *                                                  sent COUNT, where rate=RECORDS A SECOND is among the settings:
 *                                                  it then goes on until its standard input ends, for COUNT at most;
 *                                                  with partitions=COUNT to one after another, as Numbered says
 * consume   BOOTSTRAP TOPIC GROUP                 assigned PARTITION…; got PARTITION OFFSET KEY VALUE
 * read      BOOTSTRAP TOPIC                       got …, of every partition from its beginning to its present end
 * committed BOOTSTRAP TOPIC GROUP                 committed PARTITION OFFSET; end PARTITION OFFSET
 * </pre>
 *
 * Each ends with the line {@code done}. {@code consume} goes on until its standard input ends; it then commits
 * what it has printed and leaves. More client settings follow as NAME=VALUE.
 */
public final class KafkaRecords {
    public static void main(String[] args) throws Exception {
        String bootstrap = args[1];
        String topic = args[2];
        switch (args[0]) {
            case "create" -> create(bootstrap, topic, Integer.parseInt(args[3]), settings(args, 4));
            case "delete" -> delete(bootstrap, topic, settings(args, 3));
            case "produce" -> produce(bootstrap, topic, Integer.parseInt(args[3]), Integer.parseInt(args[4]), args[5],
                    settings(args, 6));
            case "consume" -> consume(bootstrap, topic, args[3], settings(args, 4));
            case "read" -> read(bootstrap, topic, settings(args, 3));
            case "committed" -> committed(bootstrap, topic, args[3], settings(args, 4));
            default -> throw new IllegalArgumentException(args[0]);
        }
        say("done");
        System.out.flush();
    }

    private static final StringBuilder BUFFER = new StringBuilder();

    private static synchronized void say(String line) {
        System.out.append(BUFFER.append(line).append('\n'));
        BUFFER.setLength(0);
    }

    private static Map<String, String> settings(String[] args, int from) {
        Map<String, String> settings = new HashMap<>();
        for (int i = from; i < args.length; i++) {
            String[] pair = args[i].split("=", 2);
            settings.put(pair[0], pair[1]);
        }
        return settings;
    }

    private static Properties client(String bootstrap, Map<String, String> settings) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        properties.put("key.serializer", StringSerializer.class.getName());
        properties.put("value.serializer", StringSerializer.class.getName());
        properties.put("key.deserializer", StringDeserializer.class.getName());
        properties.put("value.deserializer", StringDeserializer.class.getName());
        properties.putAll(settings);
        return properties;
    }

    private static void create(String bootstrap, String topic, int partitions, Map<String, String> settings)
            throws Exception {
        try (Admin admin = Admin.create(client(bootstrap, settings))) {
            NewTopic wanted = new NewTopic(topic, Optional.of(partitions), Optional.empty());
            admin.createTopics(List.of(wanted)).all().get();
        }
        say("created " + topic);
    }

    private static void delete(String bootstrap, String topic, Map<String, String> settings) throws Exception {
        try (Admin admin = Admin.create(client(bootstrap, settings))) {
            admin.deleteTopics(List.of(topic)).all().get();
        }
        say("deleted " + topic);
    }

    private static void produce(
            String bootstrap, String topic, int first, int count, String prefix, Map<String, String> settings) {
        Properties properties = client(bootstrap, Map.of("acks", "all", "enable.idempotence", "true", "linger.ms", "5"));
        String rate = settings.remove("rate");
        AtomicBoolean stop = rate == null ? new AtomicBoolean() : Input.atEnd();
        long between = rate == null ? 0 : 1_000_000_000L / Long.parseLong(rate);
        long began = System.nanoTime();
        int partitions = Integer.parseInt(settings.getOrDefault("partitions", "0"));
        settings.remove("partitions");
        properties.putAll(settings);
        AtomicBoolean failed = new AtomicBoolean();
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(properties)) {
            int i = first;
            for (; i < first + count && !stop.get(); i++) {
                LockSupport.parkNanos(began + (i - first) * between - System.nanoTime());
                Integer partition = partitions == 0 ? null : i % partitions;
                String value = partition == null ? prefix + "-" + i : Numbered.value(prefix, partition, i / partitions);
                long sent = System.nanoTime();
                producer.send(new ProducerRecord<>(topic, partition, "key-" + i, value), (placed, error) -> {
                    long waited = (System.nanoTime() - sent) / 1_000_000;
                    if (rate != null && waited > 100) {
                        say("waited " + waited);
                    }
                    if (error == null) {
                        say("acked " + placed.partition() + " " + placed.offset() + " " + value);
                    } else if (failed.compareAndSet(false, true)) {
                        System.err.println("not acknowledged: " + value + ": " + error);
                    }
                });
            }
            if (rate != null) {
                say("sent " + (i - first));
            }
        }
        if (failed.get()) {
            System.exit(1);
        }
    }

    private static void got(ConsumerRecord<String, String> record) {
        say("got " + record.partition() + " " + record.offset() + " " + record.key() + " " + record.value());
    }

    private static void consume(String bootstrap, String topic, String group, Map<String, String> settings) {
        Properties properties =
                client(bootstrap, Map.of("group.id", group, "auto.offset.reset", "earliest", "enable.auto.commit", "false"));
        properties.putAll(settings);
        AtomicBoolean stop = Input.atEnd();
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(properties)) {
            consumer.subscribe(List.of(topic), new ConsumerRebalanceListener() {
                @Override
                public void onPartitionsAssigned(Collection<TopicPartition> ignored) {
                    Set<Integer> mine = new TreeSet<>();
                    consumer.assignment().forEach(partition -> mine.add(partition.partition()));
                    say("assigned " + mine.stream().map(String::valueOf).collect(Collectors.joining(" ")));
                }

                @Override
                public void onPartitionsRevoked(Collection<TopicPartition> gone) {
                    consumer.commitSync();   // what was printed must not come again to the next owner
                }
            });
            while (!stop.get()) {
                var records = consumer.poll(Duration.ofMillis(100));
                records.forEach(KafkaRecords::got);
                if (!records.isEmpty()) {
                    consumer.commitAsync();
                }
            }
            consumer.commitSync();
        }
    }

    private static List<TopicPartition> partitions(KafkaConsumer<String, String> consumer, String topic) {
        List<TopicPartition> partitions = new ArrayList<>();
        for (PartitionInfo info : consumer.partitionsFor(topic)) {
            partitions.add(new TopicPartition(topic, info.partition()));
        }
        return partitions;
    }

    private static void read(String bootstrap, String topic, Map<String, String> settings) {
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(client(bootstrap, settings))) {
            List<TopicPartition> partitions = partitions(consumer, topic);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            while (partitions.stream().anyMatch(partition -> consumer.position(partition) < ends.get(partition))) {
                consumer.poll(Duration.ofMillis(100)).forEach(KafkaRecords::got);
            }
        }
    }

    private static void committed(String bootstrap, String topic, String group, Map<String, String> settings) {
        Properties properties = client(bootstrap, Map.of("group.id", group));
        properties.putAll(settings);
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(properties)) {
            List<TopicPartition> partitions = partitions(consumer, topic);
            Map<Integer, Long> offsets = new TreeMap<>();
            for (Map.Entry<TopicPartition, OffsetAndMetadata> entry : consumer.committed(Set.copyOf(partitions)).entrySet()) {
                if (entry.getValue() != null) {
                    offsets.put(entry.getKey().partition(), entry.getValue().offset());
                }
            }
            offsets.forEach((partition, offset) -> say("committed " + partition + " " + offset));
            consumer.endOffsets(partitions).forEach((partition, offset) -> say("end " + partition.partition() + " " + offset));
        }
    }
}
