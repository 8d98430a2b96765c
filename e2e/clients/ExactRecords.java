import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Kafka's Java client that writes and reads records to the byte.
 *
 * <pre>
 * create BOOTSTRAP TOPIC:PARTITIONS…    created TOPIC
 * write  BOOTSTRAP TOPIC FILE           acked PARTITION OFFSET, in the order of the file
 * read   BOOTSTRAP TOPIC…               TOPIC at PARTITION OFFSET RECORD, all there is; before it, for each partition,
 *                                       TOPIC begin PARTITION OFFSET and TOPIC end PARTITION OFFSET
 * skip   BOOTSTRAP TOPIC…               as read, but where the client refuses what is there, TOPIC refused PARTITION OFFSET,
 *                                       and on behind that offset
 * assign BOOTSTRAP TOPIC GROUP COUNT    as read, but without joining, from where the group has committed on (else from
 *                                       0), COUNT records of each partition, which it then commits, with a text
 * texts  BOOTSTRAP GROUP:TOPIC…         GROUP TOPIC PARTITION OFFSET TEXT: what the group has committed
 * </pre>
 *
 * The lines of FILE are {@code codec NAME}, {@code flush} (which ends the batches), {@code PARTITION RECORD}. A RECORD is
 * {@code TIMESTAMP KEY VALUE [NAME=VALUE]…}, each in hexadecimal behind an x, null as a hyphen. Ends with {@code done}.
 */
public final class ExactRecords {
    private static final HexFormat HEX = HexFormat.of();
    private static final Duration POLL = Duration.ofMillis(200);

    public static void main(String[] args) throws Exception {
        StringBuilder out = new StringBuilder();
        switch (args[0]) {
            case "create" -> create(args[1], rest(args, 2), out);
            case "write" -> write(args[1], args[2], Path.of(args[3]), out);
            case "read" -> read(args[1], rest(args, 2), false, out);
            case "skip" -> read(args[1], rest(args, 2), true, out);
            case "assign" -> assign(args[1], args[2], args[3], Integer.parseInt(args[4]), out);
            case "texts" -> texts(args[1], rest(args, 2), out);
            default -> throw new IllegalArgumentException(args[0]);
        }
        System.out.print(out.append("done\n"));
        System.out.flush();
    }

    private static List<String> rest(String[] args, int from) {
        return List.of(args).subList(from, args.length);
    }

    private static void create(String bootstrap, List<String> topics, StringBuilder out) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            for (String topic : topics) {
                String[] wanted = topic.split(":");
                NewTopic made = new NewTopic(wanted[0], Optional.of(Integer.parseInt(wanted[1])), Optional.empty());
                admin.createTopics(List.of(made)).all().get();
                out.append("created ").append(wanted[0]).append('\n');
            }
        }
    }

    private static void write(String bootstrap, String topic, Path file, StringBuilder out) throws Exception {
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        KafkaProducer<byte[], byte[]> producer = null;
        for (String line : Files.readAllLines(file)) {
            String[] fields = line.split(" ");
            if (fields[0].equals("codec")) {
                if (producer != null) {
                    producer.close();
                }
                producer = producer(bootstrap, fields[1]);
            } else if (fields[0].equals("flush")) {
                producer.flush();
            } else {
                ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(topic, Integer.parseInt(fields[0]),
                        Long.parseLong(fields[1]), bytes(fields[2]), bytes(fields[3]));
                for (int i = 4; i < fields.length; i++) {
                    String[] header = fields[i].split("=", 2);
                    String name = new String(bytes(header[0]), StandardCharsets.UTF_8);
                    record.headers().add(new RecordHeader(name, bytes(header[1])));
                }
                sent.add(producer.send(record));
            }
        }
        producer.close();
        for (Future<RecordMetadata> placed : sent) {
            out.append("acked ").append(placed.get().partition()).append(' ').append(placed.get().offset()).append('\n');
        }
    }

    private static KafkaProducer<byte[], byte[]> producer(String bootstrap, String codec) {
        return new KafkaProducer<>(
                Map.of("bootstrap.servers", bootstrap, "acks", "all", "compression.type", codec, "linger.ms", "60000",
                        "batch.size", "1000000", "delivery.timeout.ms", "120000"),
                new ByteArraySerializer(), new ByteArraySerializer());
    }

    private static KafkaConsumer<byte[], byte[]> consumer(String bootstrap, String group) {
        Map<String, Object> settings = new HashMap<>(Map.of("bootstrap.servers", bootstrap, "enable.auto.commit", "false",
                "auto.offset.reset", "none", "max.partition.fetch.bytes", "100000"));
        if (group != null) {
            settings.put("group.id", group);
        }
        return new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private static List<TopicPartition> partitions(KafkaConsumer<byte[], byte[]> consumer, String topic) {
        return consumer.partitionsFor(topic).stream()
                .map(info -> new TopicPartition(topic, info.partition()))
                .sorted((a, b) -> a.partition() - b.partition())
                .collect(Collectors.toList());
    }

    private static void read(String bootstrap, List<String> topics, boolean skip, StringBuilder out) {
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(bootstrap, null)) {
            for (String topic : topics) {
                for (TopicPartition partition : partitions(consumer, topic)) {
                    List<TopicPartition> only = List.of(partition);
                    long begin = consumer.beginningOffsets(only).get(partition);
                    long end = consumer.endOffsets(only).get(partition);
                    out.append(topic).append(" begin ").append(partition.partition()).append(' ').append(begin).append('\n');
                    out.append(topic).append(" end ").append(partition.partition()).append(' ').append(end).append('\n');
                    consumer.assign(only);
                    consumer.seek(partition, begin);
                    while (consumer.position(partition) < end) {
                        try {
                            consumer.poll(POLL).forEach(record -> say(record, out));
                        } catch (KafkaException refused) {
                            if (!skip) {
                                throw refused;
                            }
                            long at = consumer.position(partition);
                            out.append(topic).append(" refused ").append(partition.partition()).append(' ').append(at).append('\n');
                            consumer.seek(partition, at + 1);
                        }
                    }
                }
            }
        }
    }

    private static void assign(String bootstrap, String topic, String group, int count, StringBuilder out) {
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(bootstrap, group)) {
            List<TopicPartition> all = partitions(consumer, topic);
            Map<TopicPartition, OffsetAndMetadata> committed = consumer.committed(Set.copyOf(all));
            for (TopicPartition partition : all) {
                OffsetAndMetadata from = committed.get(partition);
                consumer.assign(List.of(partition));
                consumer.seek(partition, from == null ? 0 : from.offset());
                int left = count;
                long next = 0;
                while (left > 0) {
                    for (ConsumerRecord<byte[], byte[]> record : consumer.poll(POLL)) {
                        if (left > 0) {
                            say(record, out);
                            next = record.offset() + 1;
                            left--;
                        }
                    }
                }
                consumer.commitSync(Map.of(partition, new OffsetAndMetadata(next, "behind-" + (next - 1))));
            }
        }
    }

    private static void texts(String bootstrap, List<String> pairs, StringBuilder out) {
        for (String pair : pairs) {
            String group = pair.split(":")[0];
            String topic = pair.split(":")[1];
            try (KafkaConsumer<byte[], byte[]> consumer = consumer(bootstrap, group)) {
                for (TopicPartition partition : partitions(consumer, topic)) {
                    OffsetAndMetadata at = consumer.committed(Set.of(partition)).get(partition);
                    out.append(group).append(' ').append(topic).append(' ').append(partition.partition()).append(' ')
                            .append(at == null ? "- -" : at.offset() + " " + at.metadata()).append('\n');
                }
            }
        }
    }

    private static void say(ConsumerRecord<byte[], byte[]> record, StringBuilder out) {
        out.append(record.topic()).append(" at ").append(record.partition()).append(' ').append(record.offset()).append(' ')
                .append(record.timestamp()).append(' ').append(text(record.key())).append(' ').append(text(record.value()));
        for (Header header : record.headers()) {
            out.append(' ').append(text(header.key().getBytes(StandardCharsets.UTF_8))).append('=')
                    .append(text(header.value()));
        }
        out.append('\n');
    }

    private static String text(byte[] bytes) {
        return bytes == null ? "-" : "x" + HEX.formatHex(bytes);
    }

    private static byte[] bytes(String text) {
        return text.equals("-") ? null : HEX.parseHex(text.substring(1));
    }
}
