import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicReference;
import java.nio.ByteBuffer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * How long records take from {@code send} to a consumer that waits at the end of the log: producer and
 * consumer in one virtual machine, so that one clock times both.
 *
 * <pre>
 * BOOTSTRAP TOPIC RATE WARM-UP-SECONDS SECONDS BYTES    tail MEDIAN P99 P99.9   in milliseconds
 * </pre>
 *
 * Partition 0 of TOPIC is written RATE times a second, {@code acks=all}; what is sent in the first
 * WARM-UP-SECONDS does not count.
 */
public final class TailLatency {
    public static void main(String[] args) throws Exception {
        int rate = Integer.parseInt(args[2]);
        int uncounted = rate * Integer.parseInt(args[3]);
        int count = uncounted + rate * Integer.parseInt(args[4]);
        TopicPartition partition = new TopicPartition(args[1], 0);
        Properties settings = new Properties();
        settings.putAll(Map.of("bootstrap.servers", args[0], "acks", "all"));
        settings.put("enable.auto.commit", "false");
        long[] waited = new long[count - uncounted];
        AtomicReference<Throwable> failed = new AtomicReference<>();
        try (KafkaConsumer<byte[], byte[]> consumer =
                        new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
                KafkaProducer<byte[], byte[]> producer =
                        new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer())) {
            consumer.assign(List.of(partition));
            consumer.seekToEnd(List.of(partition));
            consumer.position(partition);
            byte[] value = new byte[Integer.parseInt(args[5])];
            Thread writer = new Thread(() -> write(producer, partition, rate, count, value, failed));
            writer.setDaemon(true);
            writer.start();
            long deadline = System.nanoTime() + (count / rate + 60) * 1_000_000_000L;
            for (int seen = 0; seen < count; ) {
                if (failed.get() != null) {
                    throw new IllegalStateException(failed.get());
                }
                if (System.nanoTime() > deadline) {
                    throw new IllegalStateException(seen + " of " + count + " records came");
                }
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(100))) {
                    long sent = ByteBuffer.wrap(record.value()).getLong();
                    if (seen >= uncounted && seen < count) {
                        waited[seen - uncounted] = System.nanoTime() - sent;
                    }
                    seen++;
                }
            }
        }
        Arrays.sort(waited);
        System.out.printf(Locale.ROOT, "tail %.3f %.3f %.3f%n", at(waited, 0.5), at(waited, 0.99), at(waited, 0.999));
        System.out.flush();
        System.exit(0);
    }

    private static double at(long[] sorted, double part) {
        return sorted[(int) Math.min(sorted.length - 1, sorted.length * part)] / 1e6;
    }

    private static void write(
            KafkaProducer<byte[], byte[]> producer,
            TopicPartition partition,
            int rate,
            int count,
            byte[] value,
            AtomicReference<Throwable> failed) {
        try {
            long began = System.nanoTime();
            for (int i = 0; i < count; i++) {
                long due = began + i * 1_000_000_000L / rate;
                for (long early = due - System.nanoTime(); early > 0; early = due - System.nanoTime()) {
                    Thread.sleep(early / 1_000_000, (int) (early % 1_000_000));
                }
                byte[] sent = value.clone();
                ByteBuffer.wrap(sent).putLong(System.nanoTime());
                producer.send(
                        new ProducerRecord<>(partition.topic(), partition.partition(), null, sent),
                        (metadata, error) -> failed.compareAndSet(null, error));
            }
        } catch (Throwable error) {
            failed.compareAndSet(null, error);
        }
    }
}
