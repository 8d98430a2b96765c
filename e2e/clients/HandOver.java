import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Many idempotent producers that write steadily to all partitions of a topic, and how long a partition took nothing.
 *
 * <pre>
 * BOOTSTRAP TOPIC PARTITIONS PRODUCERS RATE    RATE records a second of all producers together
 * </pre>
 *
 * Answers each line of its input with one line: {@code mark} and {@code count} with that word, and anything else with
 * {@code least ACKS longest MILLISECONDS failed RECORDS}: what the partition with the fewest acknowledgements since
 * the count began has had, the longest time between two acknowledgements of a partition of which the second came since
 * the mark, and the records that were not acknowledged at all. Ends with its input.
 */
public final class HandOver {
    private final long[] last;
    private final long[] longest;
    private final int[] acks;
    private int failed;

    private HandOver(int partitions) {
        last = new long[partitions];
        longest = new long[partitions];
        acks = new int[partitions];
        Arrays.fill(last, System.nanoTime());
    }

    public static void main(String[] args) throws Exception {
        int partitions = Integer.parseInt(args[2]);
        HandOver state = new HandOver(partitions);
        Map<String, Object> settings = Map.of("bootstrap.servers", args[0], "acks", "all", "enable.idempotence", "true");
        List<KafkaProducer<String, String>> producers = new ArrayList<>();
        for (int i = 0; i < Integer.parseInt(args[3]); i++) {
            producers.add(new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer()));
        }
        long between = 1_000_000_000L / Long.parseLong(args[4]);
        Thread writing = new Thread(() -> state.write(args[1], producers, between));
        writing.setDaemon(true);
        writing.start();
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            System.out.println(state.answer(line));
        }
        // Without waiting for what is on its way: nobody asks any more.
        Runtime.getRuntime().halt(0);
    }

    private void write(String topic, List<KafkaProducer<String, String>> producers, long between) {
        long began = System.nanoTime();
        for (int i = 0; ; i++) {
            LockSupport.parkNanos(began + i * between - System.nanoTime());
            int partition = i % acks.length;
            // One producer more in each round, so that in time each has written to each partition.
            int producer = (i + i / acks.length) % producers.size();
            producers.get(producer).send(
                    new ProducerRecord<>(topic, partition, null, "record " + i),
                    (placed, error) -> answered(partition, error));
        }
    }

    private synchronized void answered(int partition, Exception error) {
        if (error != null) {
            System.err.println(error);
            failed++;
            return;
        }
        long now = System.nanoTime();
        longest[partition] = Math.max(longest[partition], now - last[partition]);
        last[partition] = now;
        acks[partition]++;
    }

    private synchronized String answer(String line) {
        switch (line) {
            case "mark" -> Arrays.fill(longest, 0);
            case "count" -> Arrays.fill(acks, 0);
            default -> {
                return "least " + Arrays.stream(acks).min().getAsInt() + " longest "
                        + Arrays.stream(longest).max().getAsLong() / 1_000_000 + " failed " + failed;
            }
        }
        return line;
    }
}
