@echo off
rem SPDX-License-Identifier: Apache-2.0
rem
rem Runs Reverie from this folder, by the Java in it. REVERIE_JAVA_OPTS adds options for the JVM, for example -Xmx8g.
rem Where the folder holds Java for another system, a Java 25 of this one is taken: that of JAVA_HOME, or on the PATH.
setlocal DisableDelayedExpansion
set "home=%~dp0"
set "java=java.exe"
if defined JAVA_HOME set "java=%JAVA_HOME%\bin\java.exe"
for /d %%r in ("%home%runtime-*") do if exist "%%r\bin\java.exe" set "java=%%r\bin\java.exe"
rem The user's heap wins as the last; a second collector would be an error.
set "collector=-XX:+UseParallelGC"
setlocal EnableDelayedExpansion
for %%v in (REVERIE_JAVA_OPTS JDK_JAVA_OPTIONS JAVA_TOOL_OPTIONS) do if defined %%v if not "!%%v:GC=!"=="!%%v!" set "collector="
endlocal & set "collector=%collector%"
set /p revision=<"%home%lib\revision"
"%java%" --add-modules=jdk.incubator.vector --enable-native-access=ALL-UNNAMED -Xmx2g %collector% %REVERIE_JAVA_OPTS% -Djava.awt.headless=true "-Dreverie.revision=%revision%" -cp "%home%lib\*" reverie.app.Main %*
exit /b %ERRORLEVEL%
