import java.util.Collections;
import java.util.Map;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.AdminClient;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.config.ConfigResource;

/** What the driver does another way in 2.0 than in the newest release. */
final class Release {
    static TopicDescription describe(AdminClient admin, String topic) throws Exception {
        return KafkaDriver.done(admin.describeTopics(Collections.singleton(topic)).all()).get(topic);
    }

    /** Sets these settings; all others go back to their defaults. */
    static void alter(AdminClient admin, ConfigResource resource, Map<String, String> settings) throws Exception {
        Config config = new Config(settings.entrySet().stream()
                .map(e -> new ConfigEntry(e.getKey(), e.getValue()))
                .collect(Collectors.toList()));
        KafkaDriver.done(admin.alterConfigs(Collections.singletonMap(resource, config)).all());
    }
}
