import java.util.Arrays;
import org.apache.kafka.tools.ProducerPerformance;

/**
 * Kafka's {@code ProducerPerformance}, twice in one virtual machine: what the first run compiles is warm
 * in the second, so that the second's percentiles tell of a steady load and not of a client that starts.
 *
 * <pre>
 * WARM-UP-RECORDS PRODUCER-PERFORMANCE-ARGUMENTS…
 * </pre>
 *
 * The first run writes WARM-UP-RECORDS instead of what {@code --num-records} says.
 */
public final class WarmProducer {
    public static void main(String[] args) throws Exception {
        String[] measured = Arrays.copyOfRange(args, 1, args.length);
        String[] warming = measured.clone();
        warming[Arrays.asList(warming).indexOf("--num-records") + 1] = args[0];
        ProducerPerformance.main(warming);
        ProducerPerformance.main(measured);
    }
}
