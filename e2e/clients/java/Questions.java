import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;

/** The questions on standard input and their answers, as driver.py describes them. */
final class Questions {
    private static final ObjectMapper JSON = new ObjectMapper();

    interface Answering {
        Object answer(JsonNode question) throws Exception;
    }

    /** Answers until the input ends. */
    static void answer(PrintStream answers, Answering answering) throws Exception {
        BufferedReader questions = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = questions.readLine(); line != null; line = questions.readLine()) {
            Map<String, Object> answer = new HashMap<>();
            try {
                answer.put("ok", answering.answer(JSON.readTree(line)));
            } catch (Exception | LinkageError failure) {
                answer.put("error", String.valueOf(failure.getCause() == null ? failure : failure.getCause()));
                failure.printStackTrace();
            }
            answers.write((JSON.writeValueAsString(answer) + "\n").getBytes(StandardCharsets.UTF_8));
            answers.flush();
        }
        System.exit(0);
    }

    static String text(JsonNode node) {
        return node == null || node.isNull() ? null : node.asText();
    }
}
