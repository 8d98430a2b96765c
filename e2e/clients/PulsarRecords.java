import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Collectors;
import org.apache.pulsar.client.api.CompressionType;
import org.apache.pulsar.client.api.Consumer;
import org.apache.pulsar.client.api.Message;
import org.apache.pulsar.client.api.MessageIdAdv;
import org.apache.pulsar.client.api.Producer;
import org.apache.pulsar.client.api.PulsarClient;
import org.apache.pulsar.client.api.Schema;
import org.apache.pulsar.client.api.SubscriptionInitialPosition;

/**
 * Pulsar's own Java client as a process that says on standard output what happened, one line an event.
 *
 * <pre>
 * produce URL TOPIC PREFIX BATCHED PER_SECOND   acked VALUE; goes on until its standard input ends
 * number  URL TOPIC PARTITIONS FIRST PER_SECOND stored PRODUCER PARTITION NUMBER LEDGER ENTRY INDEX; goes on until its
 *                                               standard input ends. To each partition of the topic write producers
 *                                               FIRST (batches), FIRST + 1 (single) and FIRST + 2 (batches with LZ4)
 * consume URL TOPIC COUNT                       got KEY VALUE NAME=VALUE,…; from the earliest message, COUNT of them
 * </pre>
 *
 * Each ends with the line {@code done}. An absent key is printed as {@code -}.
 */
public final class PulsarRecords {
    public static void main(String[] args) throws Exception {
        try (PulsarClient client = PulsarClient.builder().serviceUrl(args[1]).build()) {
            switch (args[0]) {
                case "produce" -> produce(client, args[2], args[3], Boolean.parseBoolean(args[4]), Integer.parseInt(args[5]));
                case "number" -> number(client, args[2], Integer.parseInt(args[3]), Integer.parseInt(args[4]), Integer.parseInt(args[5]));
                case "consume" -> consume(client, args[2], Integer.parseInt(args[3]));
                default -> throw new IllegalArgumentException(args[0]);
            }
        }
        say("done");
        System.out.flush();
        System.exit(0);
    }

    private static synchronized void say(String line) {
        System.out.println(line);
    }

    private static void produce(PulsarClient client, String topic, String prefix, boolean batched, int perSecond)
            throws Exception {
        AtomicBoolean stop = Input.atEnd();
        AtomicBoolean failed = new AtomicBoolean();
        Semaphore inFlight = new Semaphore(500);
        try (Producer<byte[]> producer = client.newProducer(Schema.BYTES)
                .topic(topic)
                .enableBatching(batched)
                .batchingMaxPublishDelay(2, TimeUnit.MILLISECONDS)
                .blockIfQueueFull(true)
                .create()) {
            long started = System.nanoTime();
            for (int i = 0; !stop.get(); i++) {
                String value = prefix + "-" + i;
                inFlight.acquire();
                CompletableFuture<?> sent = producer.newMessage()
                        .key("native-" + i)
                        .property("origin", "pulsar")
                        .value(value.getBytes(StandardCharsets.UTF_8))
                        .sendAsync();
                sent.whenComplete((id, error) -> {
                    inFlight.release();
                    if (error == null) {
                        say("acked " + value);
                    } else if (failed.compareAndSet(false, true)) {
                        System.err.println("not acknowledged: " + value + ": " + error);
                    }
                });
                long due = started + (i + 1) * 1_000_000_000L / perSecond;
                long wait = due - System.nanoTime();
                if (wait > 0) {
                    TimeUnit.NANOSECONDS.sleep(wait);
                }
            }
            producer.flush();
        }
        if (failed.get()) {
            System.exit(1);
        }
    }

    private static void number(PulsarClient client, String topic, int partitions, int first, int perSecond)
            throws Exception {
        final int kinds = 3;
        AtomicBoolean stop = Input.atEnd();
        AtomicBoolean failed = new AtomicBoolean();
        List<Producer<byte[]>> producers = new ArrayList<>();
        for (int i = 0; i < partitions * kinds; i++) {
            int kind = i / partitions;
            producers.add(client.newProducer(Schema.BYTES)
                    .topic(topic + "-partition-" + i % partitions)
                    .enableBatching(kind != 1)
                    .batchingMaxPublishDelay(20, TimeUnit.MILLISECONDS)
                    .compressionType(kind == 2 ? CompressionType.LZ4 : CompressionType.NONE)
                    .sendTimeout(0, TimeUnit.SECONDS)   // goes on for as long as the broker is away
                    .blockIfQueueFull(true)
                    .create());
        }
        Semaphore inFlight = new Semaphore(5000);
        int[] numbers = new int[producers.size()];
        Random random = new Random(first);
        long started = System.nanoTime();
        for (int i = 0; !stop.get(); ) {
            // Several to one, so that there are batches.
            int which = random.nextInt(producers.size());
            for (int several = random.nextInt(6); several >= 0; several--, i++) {
                int partition = which % partitions;
                String producer = String.valueOf(first + which / partitions);
                int number = numbers[which]++;
                inFlight.acquire();
                producers.get(which)
                        .newMessage()
                        .value(Numbered.value(producer, partition, number).getBytes(StandardCharsets.UTF_8))
                        .sendAsync()
                        .whenComplete((id, error) -> {
                            inFlight.release();
                            if (error == null) {
                                MessageIdAdv at = (MessageIdAdv) id;
                                say("stored " + producer + " " + partition + " " + number + " " + at.getLedgerId() + " "
                                        + at.getEntryId() + " " + at.getBatchIndex());
                            } else if (failed.compareAndSet(false, true)) {
                                System.err.println("not stored: " + producer + " " + partition + " " + number + ": " + error);
                            }
                        });
            }
            long wait = started + i * 1_000_000_000L / perSecond - System.nanoTime();
            if (wait > 0) {
                TimeUnit.NANOSECONDS.sleep(wait);
            }
        }
        for (Producer<byte[]> producer : producers) {
            producer.flush();
            producer.close();
        }
        if (failed.get()) {
            System.exit(1);
        }
    }

    private static void consume(PulsarClient client, String topic, int count) throws Exception {
        try (Consumer<byte[]> consumer = client.newConsumer(Schema.BYTES)
                .topic(topic)
                .subscriptionName("e2e-" + ProcessHandle.current().pid())
                .subscriptionInitialPosition(SubscriptionInitialPosition.Earliest)
                .subscribe()) {
            for (int i = 0; i < count; i++) {
                Message<byte[]> message = consumer.receive(60, TimeUnit.SECONDS);
                if (message == null) {
                    System.err.println("no message for 60 s after " + i);
                    System.exit(1);
                }
                String key = message.hasKey() ? new String(message.getKeyBytes(), StandardCharsets.UTF_8) : "-";
                String properties = new TreeMap<>(message.getProperties())
                        .entrySet().stream().map(e -> e.getKey() + "=" + e.getValue()).collect(Collectors.joining(","));
                say("got " + key + " " + new String(message.getValue(), StandardCharsets.UTF_8) + " " + properties);
                consumer.acknowledgeAsync(message);
            }
        }
    }
}
