import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.AdminClient;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Kafka's Java client as a driver, as driver.py describes one. It compiles against 2.0 and against the newest release;
 * what differs between them stands in {@code Release}.
 */
public final class KafkaDriver {
    private static final Duration DEADLINE = Duration.ofSeconds(30);

    private final String bootstrap;
    private final AdminClient admin;
    private final Map<String, Member> members = new HashMap<>();

    private KafkaDriver(String bootstrap) {
        this.bootstrap = bootstrap;
        this.admin = AdminClient.create(Collections.singletonMap("bootstrap.servers", (Object) bootstrap));
    }

    public static void main(String[] args) throws Exception {
        Questions.answer(System.out, new KafkaDriver(args[0])::answer);
    }

    private Object answer(JsonNode q) throws Exception {
        String topic = Questions.text(q.get("topic"));
        String group = Questions.text(q.get("group"));
        String member = Questions.text(q.get("member"));
        switch (Questions.text(q.get("op"))) {
            case "version":
                return version();
            case "produce":
                return produce(topic, q.get("records"), Questions.text(q.get("codec")), q.get("idempotent").asBoolean());
            case "consume":
                return consume(topic, q.get("count").asInt());
            case "resume":
                return resume(topic, group, q.get("count").asInt());
            case "join":
                members.put(member, new Member(topic, group, member));
                return null;
            case "seen":
                return members.get(member).seen();
            case "leave":
                members.remove(member).leave();
                return null;
            case "create":
                NewTopic wanted = new NewTopic(topic, q.get("partitions").asInt(), (short) 1);
                done(admin.createTopics(Collections.singleton(wanted.configs(strings(q.get("settings"))))).all());
                return null;
            case "describe":
                return Release.describe(admin, topic).partitions().size();
            case "settings":
                return settingsOf(topic);
            case "alter":
                Release.alter(admin, new ConfigResource(ConfigResource.Type.TOPIC, topic), strings(q.get("settings")));
                return null;
            case "delete":
                done(admin.deleteTopics(Collections.singleton(topic)).all());
                return null;
            default:
                throw new IllegalArgumentException("what is " + q.get("op"));
        }
    }

    private static String version() throws IOException {
        Properties properties = new Properties();
        try (InputStream file = AdminClient.class.getResourceAsStream("/kafka/kafka-version.properties")) {
            properties.load(file);
        }
        return properties.getProperty("version");
    }

    private Properties settings(String... more) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", bootstrap);
        settings.put("key.serializer", StringSerializer.class.getName());
        settings.put("value.serializer", StringSerializer.class.getName());
        settings.put("key.deserializer", StringDeserializer.class.getName());
        settings.put("value.deserializer", StringDeserializer.class.getName());
        for (String setting : more) {
            int equals = setting.indexOf('=');
            settings.put(setting.substring(0, equals), setting.substring(equals + 1));
        }
        return settings;
    }

    private List<int[]> produce(String topic, JsonNode records, String codec, boolean idempotent) throws Exception {
        Properties settings = settings("acks=all", "linger.ms=20", "compression.type=" + codec);
        if (idempotent) {
            settings.put("enable.idempotence", "true");
        }
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(settings)) {
            for (JsonNode r : records) {
                ProducerRecord<String, String> record =
                        new ProducerRecord<>(topic, Questions.text(r.get("key")), Questions.text(r.get("value")));
                for (JsonNode header : r.get("headers")) {
                    record.headers().add(Questions.text(header.get(0)), Questions.text(header.get(1)).getBytes(StandardCharsets.UTF_8));
                }
                sent.add(producer.send(record));
            }
        }
        List<int[]> places = new ArrayList<>();
        for (Future<RecordMetadata> one : sent) {
            RecordMetadata place = done(one);
            places.add(new int[] {place.partition(), (int) place.offset()});
        }
        return places;
    }

    private static Map<String, Object> read(ConsumerRecord<String, String> r) {
        List<List<String>> headers = new ArrayList<>();
        for (Header header : r.headers()) {
            headers.add(Arrays.asList(header.key(), new String(header.value(), StandardCharsets.UTF_8)));
        }
        Map<String, Object> record = new HashMap<>();
        record.put("key", r.key());
        record.put("value", r.value());
        record.put("headers", headers);
        record.put("place", Arrays.asList(r.partition(), r.offset()));
        return record;
    }

    /** Reads so many records; with one a poll, the position is just behind the last. */
    private static List<Object> read(KafkaConsumer<String, String> consumer, int count) {
        long deadline = System.nanoTime() + DEADLINE.toNanos();
        List<Object> records = new ArrayList<>();
        while (records.size() < count) {
            consumer.poll(Duration.ofMillis(200)).forEach(record -> records.add(read(record)));
            if (System.nanoTime() > deadline) {
                throw new IllegalStateException(records.size() + " of " + count + " records came");
            }
        }
        return records;
    }

    private List<Object> consume(String topic, int count) {
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(settings("enable.auto.commit=false"))) {
            List<TopicPartition> all = consumer.partitionsFor(topic).stream()
                    .map(partition -> new TopicPartition(topic, partition.partition()))
                    .collect(Collectors.toList());
            consumer.assign(all);
            consumer.seekToBeginning(all);
            return read(consumer, count);
        }
    }

    private Properties member(String group, String... more) {
        Properties settings = settings(more);
        settings.put("group.id", group);
        settings.put("auto.offset.reset", "earliest");
        settings.put("enable.auto.commit", "false");
        settings.put("heartbeat.interval.ms", "300");
        return settings;
    }

    private List<Object> resume(String topic, String group, int count) {
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(member(group, "max.poll.records=1"))) {
            consumer.subscribe(Collections.singleton(topic));
            List<Object> records = read(consumer, count);
            consumer.commitSync();
            return records;
        }
    }

    /** A member of a group that reads in the background until it leaves. */
    private final class Member implements Runnable {
        private final KafkaConsumer<String, String> consumer;
        private final String topic;
        private final Thread thread = new Thread(this);
        private final List<Object> records = Collections.synchronizedList(new ArrayList<>());
        private volatile boolean stopping;
        private volatile RuntimeException failure;

        Member(String topic, String group, String name) {
            this.topic = topic;
            this.consumer = new KafkaConsumer<>(member(group, "client.id=" + name));
            thread.start();
        }

        @Override
        public void run() {
            try (KafkaConsumer<String, String> consumer = this.consumer) {
                consumer.subscribe(Collections.singleton(topic), new ConsumerRebalanceListener() {
                    @Override
                    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {}

                    @Override
                    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
                        consumer.commitSync();   // before they belong to another member
                    }
                });
                while (!stopping) {
                    consumer.poll(Duration.ofMillis(100)).forEach(record -> records.add(read(record)));
                }
                consumer.commitSync();
            } catch (RuntimeException thrown) {
                failure = thrown;
            }
        }

        List<Object> seen() {
            if (failure != null) {
                throw failure;
            }
            synchronized (records) {
                return new ArrayList<>(records);
            }
        }

        void leave() throws InterruptedException {
            stopping = true;
            thread.join(DEADLINE.toMillis());
            seen();
            if (thread.isAlive()) {
                throw new IllegalStateException("the member does not end");
            }
        }
    }

    private Map<String, String> settingsOf(String topic) throws Exception {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        Config config = done(admin.describeConfigs(Collections.singleton(resource)).all()).get(resource);
        Map<String, String> settings = new HashMap<>();
        config.entries().stream()
                .filter(entry -> entry.value() != null)
                .forEach(entry -> settings.put(entry.name(), entry.value()));
        return settings;
    }

    static <T> T done(Future<T> future) throws Exception {
        return future.get(DEADLINE.toMillis(), TimeUnit.MILLISECONDS);
    }

    private static Map<String, String> strings(JsonNode object) {
        Map<String, String> strings = new HashMap<>();
        object.fields().forEachRemaining(field -> strings.put(field.getKey(), field.getValue().asText()));
        return strings;
    }
}
