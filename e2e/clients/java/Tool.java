import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.reflect.Field;
import java.lang.reflect.InvocationTargetException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.common.utils.Exit;

/**
 * One run of a command-line tool of Kafka: its {@code main}, as in a virtual machine of its own. Starting one of those
 * for each run would take most of the tests' time. So each run of a tool with state has the tool's classes for itself,
 * reads an input and writes an output of its own, ends by throwing where it would end the process, and then the shutdown hooks that it has left
 * are run, which is how the console producer sends its last records.
 *
 * <p>Needs {@code --add-opens java.base/java.lang=ALL-UNNAMED} for the hooks.
 */
final class Tool implements Runnable {
    private static final InheritableThreadLocal<Tool> CURRENT = new InheritableThreadLocal<>();
    /** Tools without state share their classes from run to run, which then are compiled once. */
    private static final Map<String, ClassLoader> LOADERS = new HashMap<>();

    private final String mainClass;
    private final String[] arguments;
    private final InputStream input;
    private final ClassLoader loader;
    private final ByteArrayOutputStream output = new ByteArrayOutputStream();
    private final ByteArrayOutputStream errors = new ByteArrayOutputStream();
    private final Thread thread;
    private final AtomicReference<Integer> status = new AtomicReference<>();

    Tool(String mainClass, List<String> arguments, String input) throws Exception {
        this.mainClass = mainClass;
        this.arguments = arguments.toArray(new String[0]);
        this.input = new ByteArrayInputStream(input.getBytes(StandardCharsets.UTF_8));
        this.loader = loaderOf(mainClass);
        this.thread = new Thread(this, mainClass);
        thread.setContextClassLoader(loader);
        thread.start();
    }

    /** Puts streams in the standard ones' place that lead to the tool whose thread writes; gives standard output. */
    static PrintStream takeStandardStreams() {
        Exit.setExitProcedure(Tool::end);
        Exit.setHaltProcedure(Tool::end);
        PrintStream out = System.out;
        PrintStream err = System.err;
        InputStream in = System.in;
        System.setOut(leading(false, err));
        System.setErr(leading(true, err));
        System.setIn(new InputStream() {
            @Override
            public int read() throws IOException {
                return source().read();
            }

            @Override
            public int read(byte[] bytes, int from, int count) throws IOException {
                return source().read(bytes, from, count);
            }

            private InputStream source() {
                Tool tool = CURRENT.get();
                return tool == null ? in : tool.input;
            }
        });
        return out;
    }

    private static PrintStream leading(boolean errors, PrintStream otherwise) {
        return new PrintStream(new OutputStream() {
            @Override
            public void write(int one) {
                write(new byte[] {(byte) one}, 0, 1);
            }

            @Override
            public void write(byte[] bytes, int from, int count) {
                Tool tool = CURRENT.get();
                if (tool != null) {
                    (errors ? tool.errors : tool.output).write(bytes, from, count);
                }
                if (tool == null || errors) {
                    otherwise.write(bytes, from, count);
                }
            }
        }, true);
    }

    private static ClassLoader loaderOf(String mainClass) throws Exception {
        if (!mainClass.contains("Console")) {
            ClassLoader known = LOADERS.get(mainClass);
            if (known != null) {
                return known;
            }
        }
        ClassLoader loader = new ToolLoader(Class.forName(mainClass).getProtectionDomain().getCodeSource().getLocation());
        LOADERS.put(mainClass, loader);
        return loader;
    }

    /** Loads the classes of one jar anew, and takes all others from those that the driver has loaded. */
    private static final class ToolLoader extends URLClassLoader {
        ToolLoader(URL jar) {
            super(new URL[] {jar}, Tool.class.getClassLoader());
        }

        @Override
        protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
            synchronized (getClassLoadingLock(name)) {
                Class<?> known = findLoadedClass(name);
                try {
                    return known != null ? known : findClass(name);
                } catch (ClassNotFoundException ofAnotherJar) {
                    return super.loadClass(name, resolve);
                }
            }
        }
    }

    private static void end(int status, String message) {
        Tool tool = CURRENT.get();
        if (tool == null) {
            System.exit(status);
        }
        tool.status.compareAndSet(null, status);   // some catch what is thrown here, and end once more
        throw new Ended();
    }

    /** Where a process would have ended. */
    private static final class Ended extends Error {
        Ended() {
            super("the tool ends", null, false, false);
        }
    }

    @Override
    public void run() {
        CURRENT.set(this);
        try {
            loader.loadClass(mainClass).getMethod("main", String[].class).invoke(null, (Object) arguments);
        } catch (InvocationTargetException thrown) {
            if (!(thrown.getCause() instanceof Ended)) {
                thrown.getCause().printStackTrace();
                status.compareAndSet(null, 1);
            }
        } catch (ReflectiveOperationException wrong) {
            wrong.printStackTrace();
            status.compareAndSet(null, 1);
        }
    }

    /** What it has written so far. */
    String output() throws IOException {
        return new String(output.toByteArray(), StandardCharsets.UTF_8);
    }

    /** Waits for its end. */
    Map<String, Object> finish(Duration within) throws Exception {
        thread.join(within.toMillis());
        for (Thread hook : hooks()) {
            hook.start();
            hook.join(within.toMillis());
        }
        if (thread.isAlive()) {
            throw new IllegalStateException(mainClass + " does not end; it has written " + output());
        }
        Map<String, Object> result = new HashMap<>();
        result.put("status", status.get() == null ? 0 : status.get());
        result.put("out", output());
        result.put("err", new String(errors.toByteArray(), StandardCharsets.UTF_8));
        return result;
    }

    /** Ends it as a signal would. */
    Map<String, Object> stop(Duration within) throws Exception {
        for (Thread hook : hooks()) {
            hook.start();
            hook.join(within.toMillis());
        }
        return finish(within);
    }

    /** Takes the hooks that this run has left from the virtual machine's. */
    private List<Thread> hooks() throws ReflectiveOperationException {
        Field field = Class.forName("java.lang.ApplicationShutdownHooks").getDeclaredField("hooks");
        field.setAccessible(true);
        List<Thread> hooks = new ArrayList<>();
        for (Object hook : ((Map<?, ?>) field.get(null)).keySet().toArray()) {
            if (((Thread) hook).getContextClassLoader() == loader) {
                Runtime.getRuntime().removeShutdownHook((Thread) hook);
                hooks.add((Thread) hook);
            }
        }
        return hooks;
    }
}
