import java.nio.charset.StandardCharsets;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Collectors;
import org.apache.pulsar.client.api.Consumer;
import org.apache.pulsar.client.api.Message;
import org.apache.pulsar.client.api.Producer;
import org.apache.pulsar.client.api.PulsarClient;
import org.apache.pulsar.client.api.Schema;
import org.apache.pulsar.client.api.SubscriptionInitialPosition;

/**
 * Pulsar's own Java client as a process that says on standard output what happened, one line an event.
 *
 * <pre>
 * produce URL TOPIC PREFIX BATCHED PER_SECOND   acked VALUE; goes on until its standard input ends
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
        AtomicBoolean stop = new AtomicBoolean();
        AtomicBoolean failed = new AtomicBoolean();
        Thread input = new Thread(() -> {
            try {
                while (System.in.read() >= 0) {}
            } catch (java.io.IOException closed) {
                // the end of the input by another way
            }
            stop.set(true);
        });
        input.setDaemon(true);
        input.start();
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
