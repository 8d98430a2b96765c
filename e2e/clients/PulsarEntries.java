import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import java.util.concurrent.TimeUnit;
import org.apache.pulsar.client.api.PulsarClient;
import org.apache.pulsar.client.api.RawMessage;
import org.apache.pulsar.client.api.RawReader;
import org.apache.pulsar.client.impl.MessageIdImpl;

/**
 * {@code SERVICE_URL TOPIC…}: the entries of each topic as brokers send them, in hexadecimal, with the index behind
 * which they stand: {@code entry TOPIC LEDGER ENTRY BYTES}. Ends with {@code done}.
 */
public final class PulsarEntries {
    public static void main(String[] args) throws Exception {
        try (PulsarClient client = PulsarClient.builder().serviceUrl(args[0]).build()) {
            for (int i = 1; i < args.length; i++) {
                entries(client, args[i]);
            }
        }
        System.out.println("done");
        System.out.flush();
        System.exit(0);
    }

    private static void entries(PulsarClient client, String topic) throws Exception {
        RawReader reader = RawReader.create(client, topic, "entries").get(30, TimeUnit.SECONDS);
        while (reader.hasMessageAvailableAsync().get(30, TimeUnit.SECONDS)) {
            try (RawMessage message = reader.readNextAsync().get(30, TimeUnit.SECONDS)) {
                MessageIdImpl id = (MessageIdImpl) message.getMessageId();
                ByteBuf bytes = message.getHeadersAndPayload();
                System.out.println("entry " + topic + " " + id.getLedgerId() + " " + id.getEntryId() + " "
                        + ByteBufUtil.hexDump(bytes));
            }
        }
        reader.closeAsync().get(30, TimeUnit.SECONDS);
    }
}
