import com.fasterxml.jackson.databind.JsonNode;
import java.io.PrintStream;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Kafka's command-line tools as a driver (see driver.py), each run as {@link Tool} says.
 *
 * <pre>
 * tool {class, args, input}              its {status, out, err} when it has ended
 * start-tool {name, class, args, input}  nothing; it goes on
 * tool-output {name}                     what it has written so far
 * stop-tool {name}                       its {status, out, err} when it has ended, as after a signal
 * </pre>
 */
public final class ToolsDriver {
    private static final Duration DEADLINE = Duration.ofSeconds(30);
    private static final Map<String, Tool> TOOLS = new HashMap<>();

    public static void main(String[] args) throws Exception {
        PrintStream answers = Tool.takeStandardStreams();
        Questions.answer(answers, ToolsDriver::answer);
    }

    private static Object answer(JsonNode q) throws Exception {
        String name = Questions.text(q.get("name"));
        switch (Questions.text(q.get("op"))) {
            case "tool":
                return start(q).finish(DEADLINE);
            case "start-tool":
                TOOLS.put(name, start(q));
                return null;
            case "tool-output":
                return TOOLS.get(name).output();
            case "stop-tool":
                return TOOLS.remove(name).stop(DEADLINE);
            default:
                throw new IllegalArgumentException("what is " + q.get("op"));
        }
    }

    private static Tool start(JsonNode q) throws Exception {
        List<String> arguments = new ArrayList<>();
        q.get("args").forEach(argument -> arguments.add(argument.asText()));
        return new Tool(Questions.text(q.get("class")), arguments, q.path("input").asText(""));
    }
}
