import java.util.Locale;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.pulsar.client.api.MessageId;
import org.apache.pulsar.client.api.Producer;
import org.apache.pulsar.client.api.PulsarClient;
import org.apache.pulsar.client.api.Reader;
import org.apache.pulsar.client.api.Schema;

/**
 * How fast Pulsar's own client writes and reads.
 *
 * <pre>
 * produce URL TOPIC COUNT BYTES   MB/s RATE: from the first send to the last acknowledgement
 * read    URL TOPIC COUNT         MB/s RATE: from the opening of a reader to the last of COUNT messages
 * </pre>
 *
 * A megabyte has 2^20 bytes, as in the figures of Kafka's own tools.
 */
public final class PulsarBench {
    public static void main(String[] args) throws Exception {
        int count = Integer.parseInt(args[3]);
        try (PulsarClient client = PulsarClient.builder().serviceUrl(args[1]).build()) {
            switch (args[0]) {
                case "produce" -> produce(client, args[2], count, Integer.parseInt(args[4]));
                case "read" -> read(client, args[2], count);
                default -> throw new IllegalArgumentException(args[0]);
            }
        }
        System.exit(0);
    }

    private static void say(long bytes, long started) {
        double seconds = (System.nanoTime() - started) / 1e9;
        System.out.printf(Locale.ROOT, "MB/s %.2f%n", bytes / seconds / (1 << 20));
        System.out.flush();
    }

    private static void produce(PulsarClient client, String topic, int count, int bytes) throws Exception {
        byte[] value = new byte[bytes];
        for (int i = 0; i < bytes; i++) {
            value[i] = (byte) ('A' + i * 31 % 26);
        }
        AtomicReference<Throwable> failed = new AtomicReference<>();
        try (Producer<byte[]> producer = client.newProducer(Schema.BYTES)
                .topic(topic)
                .batchingMaxPublishDelay(5, TimeUnit.MILLISECONDS)
                .batchingMaxBytes(65536)
                .batchingMaxMessages(1000)
                .maxPendingMessages(10000)
                .blockIfQueueFull(true)
                .create()) {
            long started = System.nanoTime();
            for (int i = 0; i < count; i++) {
                producer.sendAsync(value).whenComplete((id, error) -> failed.compareAndSet(null, error));
            }
            producer.flush();
            if (failed.get() != null) {
                throw new IllegalStateException(failed.get());
            }
            say((long) count * bytes, started);
        }
    }

    private static void read(PulsarClient client, String topic, int count) throws Exception {
        long started = System.nanoTime();
        long bytes = 0;
        try (Reader<byte[]> reader =
                client.newReader(Schema.BYTES).topic(topic).startMessageId(MessageId.earliest).create()) {
            for (int i = 0; i < count; i++) {
                bytes += reader.readNext().size();
            }
            say(bytes, started);
        }
    }
}
