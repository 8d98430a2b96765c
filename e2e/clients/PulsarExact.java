import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.apache.pulsar.client.api.CompressionType;
import org.apache.pulsar.client.api.CryptoKeyReader;
import org.apache.pulsar.client.api.EncryptionKeyInfo;
import org.apache.pulsar.client.api.Message;
import org.apache.pulsar.client.api.MessageId;
import org.apache.pulsar.client.api.MessageIdAdv;
import org.apache.pulsar.client.api.Producer;
import org.apache.pulsar.client.api.ProducerBuilder;
import org.apache.pulsar.client.api.PulsarClient;
import org.apache.pulsar.client.api.Reader;
import org.apache.pulsar.client.api.Schema;
import org.apache.pulsar.client.api.TypedMessageBuilder;
import org.apache.pulsar.client.api.transaction.Transaction;
import org.apache.pulsar.client.impl.MessageImpl;

/**
 * Pulsar's own Java client that writes and reads messages to the byte.
 *
 * <pre>
 * write URL TOPIC FILE    stored LEDGER ENTRY INDEX, in the order of the file
 * read  URL TOPIC COUNT   at LEDGER ENTRY INDEX PUBLISHED CODEC MESSAGE, in order; the index in the batch, or -1
 * </pre>
 *
 * The lines of FILE are {@code producer CODEC HOW [KEY]}, {@code flush} (which ends a batch), MESSAGE, and
 * {@code begin NAME}, {@code commit NAME}, {@code abort NAME} of a transaction, in which the messages between are. One
 * that is left open is told by a line {@code open}, and ends when standard input does: by a commit, unless there is a
 * line {@code later abort}.
 * HOW is {@code batched}, {@code single}, {@code chunked} (into pieces of 20,000 bytes) or {@code encrypted} (for the
 * public KEY in that file). A MESSAGE is {@code EVENT_TIME KEY ORDERING_KEY VALUE [NAME=VALUE]…}, each in hexadecimal
 * behind an x, null as a hyphen; a key behind a t is given as text. Ends with {@code done}.
 */
public final class PulsarExact {
    private static final HexFormat HEX = HexFormat.of();

    public static void main(String[] args) throws Exception {
        StringBuilder out = new StringBuilder();
        try (PulsarClient client = PulsarClient.builder()
                .serviceUrl(args[1])
                .enableTransaction(args[0].equals("write") && hasTransaction(args[3]))
                .build()) {
            switch (args[0]) {
                case "write" -> write(client, args[2], Path.of(args[3]), out);
                case "read" -> read(client, args[2], Integer.parseInt(args[3]), out);
                default -> throw new IllegalArgumentException(args[0]);
            }
        }
        System.out.print(out.append("done\n"));
        System.out.flush();
        System.exit(0);
    }

    private static boolean hasTransaction(String file) throws Exception {
        return Files.readAllLines(Path.of(file)).stream().anyMatch(line -> line.startsWith("begin "));
    }

    private static void write(PulsarClient client, String topic, Path file, StringBuilder out) throws Exception {
        List<CompletableFuture<MessageId>> sent = new ArrayList<>();
        List<Producer<byte[]>> producers = new ArrayList<>();
        Producer<byte[]> producer = null;
        Map<String, Transaction> open = new java.util.HashMap<>();
        Transaction in = null;
        boolean abortsLater = false;
        for (String line : Files.readAllLines(file)) {
            String[] fields = line.split(" ");
            switch (fields[0]) {
                case "producer" -> {
                    if (producer != null) {
                        producer.flush();
                    }
                    producer = producer(client, topic, fields);
                    producers.add(producer);
                }
                case "flush" -> producer.flush();
                case "begin" -> {
                    in = client.newTransaction().withTransactionTimeout(10, TimeUnit.MINUTES).build().get(60, TimeUnit.SECONDS);
                    open.put(fields[1], in);
                }
                case "commit" -> {
                    producer.flush();
                    open.remove(fields[1]).commit().get(60, TimeUnit.SECONDS);
                    in = null;
                }
                case "abort" -> {
                    producer.flush();
                    open.remove(fields[1]).abort().get(60, TimeUnit.SECONDS);
                    in = null;
                }
                case "later" -> abortsLater = fields[1].equals("abort");
                default -> sent.add(message(in == null ? producer.newMessage() : producer.newMessage(in), fields).sendAsync());
            }
        }
        producer.flush();
        for (CompletableFuture<MessageId> stored : sent) {
            out.append("stored").append(place(stored.get(60, TimeUnit.SECONDS))).append('\n');
        }
        if (!open.isEmpty()) {
            // It stays open until whoever started this has seen enough.
            System.out.print(out);
            System.out.println("open");
            System.out.flush();
            out.setLength(0);
            while (System.in.read() >= 0) {}
            for (Transaction transaction : open.values()) {
                (abortsLater ? transaction.abort() : transaction.commit()).get(60, TimeUnit.SECONDS);
            }
        }
        for (Producer<byte[]> used : producers) {
            used.close();
        }
    }

    private static Producer<byte[]> producer(PulsarClient client, String topic, String[] fields) throws Exception {
        ProducerBuilder<byte[]> builder = client.newProducer(Schema.BYTES)
                .topic(topic)
                .compressionType(CompressionType.valueOf(fields[1]))
                .sendTimeout(0, TimeUnit.SECONDS);
        switch (fields[2]) {
            case "batched" -> builder.enableBatching(true)
                    .batchingMaxPublishDelay(10, TimeUnit.MINUTES)
                    .batchingMaxBytes(1_000_000);
            case "single" -> builder.enableBatching(false);
            case "chunked" -> builder.enableBatching(false).enableChunking(true).chunkMaxMessageSize(20_000);
            case "encrypted" -> builder.enableBatching(true)
                    .batchingMaxPublishDelay(10, TimeUnit.MINUTES)
                    .addEncryptionKey("key")
                    .cryptoKeyReader(new Keys(Files.readAllBytes(Path.of(fields[3]))));
            default -> throw new IllegalArgumentException(fields[2]);
        }
        return builder.create();
    }

    /** The one public key. */
    private record Keys(byte[] key) implements CryptoKeyReader {
        @Override
        public EncryptionKeyInfo getPublicKey(String name, Map<String, String> metadata) {
            return new EncryptionKeyInfo(key, Map.of());
        }

        @Override
        public EncryptionKeyInfo getPrivateKey(String name, Map<String, String> metadata) {
            throw new UnsupportedOperationException("nobody decrypts here");
        }
    }

    private static TypedMessageBuilder<byte[]> message(TypedMessageBuilder<byte[]> message, String[] fields) {
        long event = Long.parseLong(fields[0]);
        if (event > 0) {
            message.eventTime(event);
        }
        if (fields[1].startsWith("t")) {
            message.key(new String(HEX.parseHex(fields[1].substring(1)), StandardCharsets.UTF_8));
        } else if (!fields[1].equals("-")) {
            message.keyBytes(bytes(fields[1]));
        }
        if (!fields[2].equals("-")) {
            message.orderingKey(bytes(fields[2]));
        }
        message.value(bytes(fields[3]));
        for (int i = 4; i < fields.length; i++) {
            String[] property = fields[i].split("=", 2);
            message.property(new String(bytes(property[0]), StandardCharsets.UTF_8),
                    new String(bytes(property[1]), StandardCharsets.UTF_8));
        }
        return message;
    }

    private static void read(PulsarClient client, String topic, int count, StringBuilder out) throws Exception {
        try (Reader<byte[]> reader = client.newReader(Schema.BYTES).topic(topic).startMessageId(MessageId.earliest).create()) {
            for (int i = 0; i < count; i++) {
                Message<byte[]> message = reader.readNext(60, TimeUnit.SECONDS);
                if (message == null) {
                    throw new IllegalStateException("no message for 60 s after " + i);
                }
                // The batch's codec as well: what a batch has in common is copied to its messages.
                String codec = ((MessageImpl<byte[]>) message).getMessageBuilder().getCompression().name();
                out.append("at").append(place(message.getMessageId())).append(' ').append(message.getPublishTime())
                        .append(' ').append(codec).append(' ').append(message.getEventTime())
                        .append(' ').append(message.hasKey() ? text(message.getKeyBytes()) : "-")
                        .append(' ').append(message.hasOrderingKey() ? text(message.getOrderingKey()) : "-")
                        .append(' ').append(text(message.getValue()));
                String properties = message.getProperties().entrySet().stream()
                        .map(e -> " " + text(e.getKey()) + "=" + text(e.getValue()))
                        .sorted()
                        .collect(Collectors.joining());
                out.append(properties).append('\n');
            }
        }
    }

    private static String place(MessageId id) {
        MessageIdAdv at = (MessageIdAdv) id;
        return " " + at.getLedgerId() + " " + at.getEntryId() + " " + at.getBatchIndex();
    }

    private static String text(String text) {
        return text(text.getBytes(StandardCharsets.UTF_8));
    }

    private static String text(byte[] bytes) {
        return bytes == null ? "-" : "x" + HEX.formatHex(bytes);
    }

    private static byte[] bytes(String text) {
        return text.equals("-") ? null : HEX.parseHex(text.substring(1));
    }
}
