import java.util.Collection;
import java.util.Collections;
import java.util.Map;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.AdminClient;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.config.ConfigResource;

/** What the driver does another way in the newest release than in 2.0. */
final class Release {
    static TopicDescription describe(AdminClient admin, String topic) throws Exception {
        return KafkaDriver.done(admin.describeTopics(Collections.singleton(topic)).allTopicNames()).get(topic);
    }

    /** Sets these settings and leaves others as they are (KIP-339). */
    static void alter(AdminClient admin, ConfigResource resource, Map<String, String> settings) throws Exception {
        Collection<AlterConfigOp> operations = settings.entrySet().stream()
                .map(e -> new AlterConfigOp(new ConfigEntry(e.getKey(), e.getValue()), AlterConfigOp.OpType.SET))
                .collect(Collectors.toList());
        KafkaDriver.done(admin.incrementalAlterConfigs(Collections.singletonMap(resource, operations)).all());
    }
}
